"""A few rows of a large array inside an ``.npz``, without reading the others."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from titok.runtime.files import FileError, existing_file


def read_rows(path: str | Path, name: str, rows: Sequence[int]) -> np.ndarray:
    """Rows ``rows`` of array ``name`` along its first axis, in this order.

    Members of archives that ``titok.runtime.files.save_npz`` wrote are not compressed, and reading jumps to the rows.

    Raises:
        FileError: no such file, array or row, or an archive that cannot be read.
    """
    path = existing_file(path)
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            shape, fortran, dtype = _header(member)
            if fortran or dtype.hasobject:
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
    except (KeyError, zipfile.BadZipFile, ValueError, EOFError) as error:
        raise FileError(f"{path} has no readable array {name} ({error}); run the step that writes it again") from error


def read_shape(path: str | Path, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array, from its header."""
    path = existing_file(path)
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            shape, _, dtype = _header(member)
            return shape, dtype
    except (KeyError, zipfile.BadZipFile, ValueError, EOFError) as error:
        raise FileError(f"{path} has no readable array {name} ({error}); run the step that writes it again") from error


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(member)
