"""One tar shard while it is written, and what the header of an image tells.

Members are ``<key>.png|jpg`` (the original bytes) and ``<key>.cls`` (the label as text), as WebDataset names them.
Equal samples give equal bytes: no times, no owners.
"""

from __future__ import annotations

import contextlib
import io
import re
import tarfile
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from PIL import Image, UnidentifiedImageError

from titok.data.shard_index import MAX_KEY_LENGTH, ShardError
from titok.runtime.files import atomic_path

KEY = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MAX_KEY_LENGTH - 1}}}")
"""What a sample may be called: WebDataset ends a key at the first dot, and paths could leave the folder."""

EXTENSIONS = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png"}
"""Pillow's name of a format -> extension in shards. MPO is a JPEG file with more pictures behind the first."""


class ImageHeader(NamedTuple):
    """What is known of an image before it is decoded."""

    format: str
    width: int
    height: int
    mode: str
    """Pillow's mode before conversion to RGB."""

    @property
    def extension(self) -> str:
        return EXTENSIONS[self.format]


def read_header(key: str, data: bytes) -> ImageHeader:
    """The header of an image file; raises ``ShardError`` for anything but a PNG or JPEG (the content decides)."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return header_of(key, image)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ShardError(
            f"sample {key!r}: its {len(data)} bytes are no image that Pillow knows; leave it out"
        ) from error


def header_of(key: str, image: Image.Image) -> ImageHeader:
    """The same of an image that Pillow has opened."""
    if image.format not in EXTENSIONS:
        raise ShardError(f"sample {key!r} is a {image.format} image; allowed: JPEG, PNG")
    return ImageHeader(image.format, *image.size, image.mode)


def shard_name(split: str, number: int) -> str:
    """File name of a shard, as WebDataset's patterns expect it."""
    return f"{split}-{number:06d}.tar"


class ShardFile:
    """One tar that appears under its name when its block ends well, and never otherwise."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with contextlib.ExitStack() as opened:
            temporary = opened.enter_context(atomic_path(path))
            self._stream = opened.enter_context(temporary.open("wb"))
            self._opened = opened.pop_all()

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._stream.tell()

    def write(self, key: str, extension: str, image: bytes, label: int) -> int:
        """Appends a sample and returns the position of its image's first byte."""
        offset = self._add(f"{key}.{extension}", image)
        self._add(f"{key}.cls", str(label).encode())
        return offset

    def close(self) -> int:
        """Finishes the tar and returns its size."""
        end = self._stream.tell() + 2 * tarfile.BLOCKSIZE
        self._stream.write(bytes(2 * tarfile.BLOCKSIZE + -end % tarfile.RECORDSIZE))
        self._opened.close()
        return self._path.stat().st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """After an error removes what was written, and raises ``FileError`` if a disk was full."""
        self._opened.__exit__(kind, error, traceback)

    def _add(self, name: str, data: bytes) -> int:
        self._stream.write(member_header(name, len(data)))
        offset = self._stream.tell()
        self._stream.write(data)
        self._stream.write(bytes(-len(data) % tarfile.BLOCKSIZE))
        return offset


_HEADER = tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT)  # Time, user and group are 0 unless set.
_SIZE, _SUM = slice(124, 135), slice(148, 156)


def member_header(name: str, size: int) -> bytes:
    """The header that ``tarfile`` writes for a file called ``name``, at a tenth of its time, two for every image."""
    header = bytearray(_HEADER)
    header[: len(name)] = name.encode("ascii")
    header[_SIZE] = b"%011o" % size
    header[_SUM] = b" " * 8
    header[_SUM] = b"%06o\0 " % sum(header)
    return bytes(header)
