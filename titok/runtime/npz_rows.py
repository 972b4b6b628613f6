"""Rows of a large array inside an ``.npz``, without all of it in memory."""

from __future__ import annotations

import contextlib
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from titok.runtime.files import FileError, existing_archive, load_npz

_BLOCK = 2**20
_LOCAL_HEADER = 30
"""Bytes before the name of a member, at the end of which stand the lengths of its name and of a further field."""


class Header(NamedTuple):
    """What stands before an array's values."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype


def read_rows(path: str | Path, name: str, rows: Sequence[int]) -> np.ndarray:
    """Rows ``rows`` of array ``name`` along its first axis, in this order.

    Members of archives that ``titok.runtime.files.save_npz`` wrote are not compressed, and reading jumps to the rows.

    Raises:
        FileError: no such file, array or row, or an archive that cannot be read.
    """
    with _opened(path, name) as (member, (shape, is_fortran, dtype)):
        if is_fortran or dtype.hasobject:
            raise FileError(f"{path}: {name} is stored by columns or holds objects; rows cannot be read one by one")
        start = member.tell()
        row_bytes = dtype.itemsize * int(np.prod(shape[1:]))
        found = np.empty((len(rows), *shape[1:]), dtype)
        for place, row in enumerate(rows):
            if not 0 <= row < shape[0]:
                raise FileError(f"{path}: {name} has {shape[0]} rows, row {row} was asked for")
            member.seek(start + row * row_bytes)
            found[place] = np.frombuffer(member.read(row_bytes), dtype).reshape(shape[1:])
        return found


def read_shape(path: str | Path, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array, from its header.

    Raises:
        FileError: no such file or array, or an archive that cannot be read.
    """
    with _opened(path, name) as (_, header):
        return header.shape, header.dtype


def mapped_array(path: str | Path, name: str) -> np.ndarray:
    """Array ``name`` of an archive, read from the disk when looked at.

    Its bytes are read once before, a block at a time, and compared with the archive's sum. An array that is stored in
    another way than ``titok.runtime.files.save_npz`` does (compressed, by columns) cannot be mapped and is loaded.

    Raises:
        FileError: no such file or array, or other bytes than were written.
    """
    with _opened(path, name) as (member, (shape, is_fortran, dtype)):
        start = member.tell()
        while member.read(_BLOCK):
            pass  # at the end, the sum is compared
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED or is_fortran or dtype.hasobject or 0 in shape:
        return load_npz(path)[name]
    with Path(path).open("rb") as stream:
        stream.seek(info.header_offset)
        name_bytes, extra_bytes = struct.unpack("<26x2H", stream.read(_LOCAL_HEADER))
    offset = info.header_offset + _LOCAL_HEADER + name_bytes + extra_bytes + start
    return np.asarray(np.memmap(path, dtype, "r", offset, shape))  # plain: indexing a memmap is slower


def read_header(member: IO[bytes]) -> Header:
    """The header of an ``.npy`` member, which is then at its first value.

    Raises:
        ValueError: the bytes are no array's.
    """
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return Header(*read(member))


@contextlib.contextmanager
def _opened(path: str | Path, name: str) -> Iterator[tuple[IO[bytes], Header]]:
    path = existing_archive(path)
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            yield member, read_header(member)
    except (KeyError, zipfile.BadZipFile, zlib.error, ValueError, EOFError) as error:
        raise FileError(f"{path} has no readable array {name} ({error}); run the step that writes it again") from error
