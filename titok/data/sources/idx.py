"""IDX files, the form of MNIST and of what was made to take its place: Fashion-MNIST, EMNIST, KMNIST.

A file is one array of bytes behind a header: two zeros, the type (8: unsigned bytes), the number of axes, and the
length of each as four bytes, the highest first. A split has a file of images (N, H, W) and one of labels (N,), plain or
gzipped. Images are called by their split and their number there.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from titok.config.data_sources import IdxSource
from titok.data.plain_png import plain_png
from titok.data.plan import Listing, Plan, SourceError
from titok.data.sources.source import Forms, ImageSource, SourceImages

_BYTES = 8
"""The type of unsigned bytes."""


class Header(NamedTuple):
    """What stands before the values."""

    shape: tuple[int, ...]
    start: int
    """Bytes before the first value."""


def read_header(beginning: bytes, path: Path, axes: int) -> Header:
    """Of a file of bytes with ``axes`` axes; raises ``SourceError`` for anything else."""
    if len(beginning) < 4 or beginning[:2] != b"\0\0":
        raise SourceError(f"{path} begins with {beginning[:4].hex(' ')}, which no IDX file does (two zeros)")
    if beginning[2] != _BYTES or beginning[3] != axes:
        raise SourceError(
            f"{path} holds values of type {beginning[2]} along {beginning[3]} axes; needed are unsigned bytes (type "
            f"{_BYTES}) along {axes}: images have 3, labels 1; are the two exchanged?"
        )
    start = 4 + 4 * axes
    if len(beginning) < start:
        raise SourceError(f"{path} ends within its header; fetch it again")
    return Header(tuple(int(length) for length in np.frombuffer(beginning[4:start], ">u4")), start)


def read_idx(path: Path, axes: int) -> tuple[np.ndarray, dict[str, Any]]:
    """The array of a file, and what the manifest says about it; the sum is of the unpacked bytes.

    Raises:
        SourceError: it is missing, damaged, or holds something else.
    """
    content = _content(path)
    shape, start = read_header(content, path, axes)
    values = np.frombuffer(content, np.uint8, offset=start)
    if values.size != np.prod(shape):
        raise SourceError(f"{path} holds {values.size} values, its header promises {shape}; fetch it again")
    note = {"file": path.name, "bytes": len(content), "unpacked_md5": hashlib.md5(content).hexdigest()}
    return values.reshape(shape), note


def _content(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path} cannot be read ({error}); check the path, or fetch the file again") from error


def list_idx(source: IdxSource, split: str, num_classes: int) -> Listing:
    """Every image of a split; only labels and the images' header decide."""
    images_path, labels_path = source.files(split)
    images, images_note = read_idx(images_path, 3)
    labels, labels_note = read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise SourceError(f"{images_path} has {len(images)} images, {labels_path} {len(labels)} labels; one each")
    for note in (images_note, labels_note):
        expected = source.unpacked_md5.get(note["file"])
        if expected not in (None, note["unpacked_md5"]):
            raise SourceError(
                f"{note['file']} has, unpacked, the MD5 {note['unpacked_md5']}, but the study expects {expected} "
                f"(dataset.idx.unpacked_md5); it is damaged or another one"
            )
    names = list(source.class_names) or [str(label) for label in range(num_classes)]
    listing = Listing("idx", [str(images_path)], names, [images_note, labels_note])
    digits = max(5, len(str(len(labels) - 1)))
    for number, label in enumerate(labels.tolist()):
        listing.add(f"{split}-{number:0{digits}d}", f"{images_path.name}/{number}", label, offset=number)
    return listing


class _Rows(SourceImages):
    """PNG files of images by their number."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        plan.require_unchanged()
        self._images, _ = read_idx(Path(plan.files[0]), 3)

    def read(self, row: np.void) -> bytes:
        image = self._images[int(row["offset"])]
        return plain_png(np.ascontiguousarray(image.T if self.plan.settings["idx"]["transposed"] else image))


class Idx(ImageSource[IdxSource]):
    """A pair of files for each split."""

    forms: ClassVar[Forms] = {"idx": _Rows}

    def listing(self, split: str) -> Listing:
        return list_idx(self.settings, split, self.num_classes)

    def count(self, split: str, enough: int) -> int | None:
        path, _ = self.settings.files(split)
        with path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            return read_header(stream.read(16), path, 3).shape[0]
