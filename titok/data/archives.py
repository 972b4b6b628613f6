"""Tar archives as they lie on the disk: where every member is, found from the headers, nothing extracted.

A tar inside a tar is a range of the same file, so the training archive of ImageNet (a tar of a thousand tars) needs no
second copy. Reading with ``HashingReader`` passes the whole file once, in order, and gives its MD5 as well.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import NamedTuple, Protocol, Self, TypeVar

from titok.errors import DataError

BLOCK = tarfile.BLOCKSIZE
_CHUNK = 2**22
AGAIN = "the download is incomplete or damaged: fetch the archive again"
Result = TypeVar("Result")


class Member(NamedTuple):
    """A regular file inside an archive."""

    name: str
    offset: int
    """Position of its first byte in the archive."""
    length: int


class Reader(Protocol):
    """Bytes of one archive by position."""

    path: Path
    size: int

    def read(self, position: int, length: int) -> bytes:
        """``length`` bytes, fewer at the end of the file."""


class SeekingReader:
    """Reads nothing but what is asked for; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = open_archive(path)
        self.size = os.fstat(self._descriptor).st_size

    def read(self, position: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, position)

    def md5(self) -> str | None:
        """Not known."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


class HashingReader(SeekingReader):
    """Reads the whole file once; positions must not go back by more than what the last read returned.

    ``on_bytes`` is told how many bytes were read, for progress.
    """

    def __init__(self, path: Path, on_bytes: Callable[[int], object] = lambda count: None) -> None:
        super().__init__(path)
        self._on_bytes = on_bytes
        self._digest = hashlib.md5(usedforsecurity=False)
        self._buffer = b""
        self._end = 0

    def read(self, position: int, length: int) -> bytes:
        while self._end < position + length and self._advance(keep_from=position):
            pass
        start = position - (self._end - len(self._buffer))
        return self._buffer[start : start + length]

    def md5(self) -> str:
        """MD5 of the whole file, as hexadecimal; reads what is left of it."""
        while self._advance(keep_from=self.size):
            pass
        return self._digest.hexdigest()

    def _advance(self, keep_from: int) -> bool:
        chunk = super().read(self._end, _CHUNK)
        self._digest.update(chunk)
        unread = self._end - keep_from
        self._buffer = (self._buffer[-unread:] if unread > 0 else b"") + chunk
        self._end += len(chunk)
        self._on_bytes(len(chunk))
        return bool(chunk)


class UnpackingReader:
    """Bytes of a gzipped file as they are when it is unpacked; a context manager.

    Memory stays flat. Positions are best asked for in order: going back unpacks the file from its start again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.fdopen(open_archive(path), "rb")
        self._stream = gzip.GzipFile(fileobj=self._file)
        self.size = self._unpack(lambda: self._stream.seek(0, os.SEEK_END))

    def read(self, position: int, length: int) -> bytes:
        self._unpack(lambda: self._stream.seek(position))
        return self._unpack(lambda: self._stream.read(length))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._file.close()

    def _unpack(self, step: Callable[[], Result]) -> Result:
        try:
            return step()
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{self.path} cannot be unpacked ({error}); {AGAIN}") from error


def scan_tar(reader: Reader, start: int = 0, end: int | None = None, where: str = "") -> Iterator[Member]:
    """Every regular file of the tar between two positions of a file, in order.

    ``where`` names a tar inside the file for messages. Folders are passed over. Raises ``DataError`` for links,
    devices and names that lead out of the archive, for damage, and for a tar without the empty block at its end, which
    is how a truncated one is told from a whole one.
    """
    where = f"{reader.path}{f': {where}' if where else ''}"
    position, end = start, reader.size if end is None else end
    long_name, long_size = None, None
    while True:
        block = reader.read(position, min(BLOCK, max(end - position, 0)))
        if len(block) < BLOCK:
            raise DataError(
                f"{where} is truncated: it ends at byte {position - start}, where a tar has a header; {AGAIN}"
            )
        if not block.strip(b"\0"):
            return
        header = _header(block, where, position - start)
        data, size = position + BLOCK, header.size if long_size is None else long_size
        position = data + -(-size // BLOCK) * BLOCK
        if position > end:
            raise DataError(
                f"{where} is truncated: {header.name!r} ends at byte {data + size - start}, but only {end - start} are "
                f"there; {AGAIN}"
            )
        if header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
            extra = _long_header(header.type, reader.read(data, size), where)
            long_name, long_size = extra.get("path", long_name), int(extra["size"]) if "size" in extra else long_size
            continue
        name = header.name if long_name is None else long_name
        long_name, long_size = None, None
        if header.type == tarfile.XGLTYPE:
            continue
        _refuse_unsafe(name, header, where)
        if header.isreg():
            yield Member(name, data, size)


def open_archive(path: Path) -> int:
    """A descriptor for reading; raises ``DataError`` when there is no such file."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DataError(f"{path} cannot be opened ({error.strerror}); correct the path in the study") from error


def _header(block: bytes, where: str, position: int) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise DataError(f"{where} is damaged: no tar header at byte {position} ({error}); {AGAIN}") from error


def _long_header(kind: bytes, data: bytes, where: str) -> dict[str, str]:
    """Names (and sizes) that do not fit into a header and come before it: GNU's way or POSIX's."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    found = {}
    while data.strip(b"\0"):
        length, _, rest = data.partition(b" ")
        if not length.isdigit() or not 0 < int(length) <= len(data):
            raise DataError(f"{where} is damaged: an extended header says {length[:20]!r} for a length; {AGAIN}")
        key, _, value = rest[: int(length) - len(length) - 2].partition(b"=")
        if key.startswith(b"GNU.sparse"):
            raise DataError(f"{where}: a sparse member is refused; only plain files and folders are read")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        data = data[int(length) :]
    return found


def _refuse_unsafe(name: str, header: tarfile.TarInfo, where: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise DataError(f"{where}: member {name!r} is refused, because its name leads out of the archive")
    if not (header.isdir() or header.isreg()) or header.type == tarfile.GNUTYPE_SPARSE:
        raise DataError(
            f"{where}: member {name!r} is refused, because it is {_kind(header)}; only files and folders are read"
        )


def _kind(header: tarfile.TarInfo) -> str:
    if header.issym() or header.islnk():
        return f"a link to {header.linkname!r}"
    return "a device" if header.isdev() else f"of the type {header.type!r}"
