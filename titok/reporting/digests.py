"""SHA-256 of what files hold, not of the files: two runs that made the same arrays have the same sums.

What surrounds the arrays (times of batches, settings, the cut into parts) does not count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, deserialize

from titok.runtime.files import FileError, existing_file, load_npz

SAMPLE_ARRAYS = ("arr_0", "labels")
"""Images and the classes asked for, of a sample file."""
TOKEN_ARRAYS = ("tokens", "labels")


def digest_weights(path: Path) -> str:
    """Sum over a ``.safetensors`` file's tensors by name: their types, shapes and bytes.

    Raises:
        FileError: the file is missing or damaged.
    """
    try:
        tensors = dict(deserialize(existing_file(path).read_bytes()))
    except SafetensorError as error:
        raise FileError(f"{path} is no readable safetensors file ({error}); run the step that writes it") from error
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor['dtype']} {list(tensor['shape'])}\n".encode())
        digest.update(tensor["data"])
    return digest.hexdigest()


def digest_arrays(path: Path, names: Sequence[str]) -> str:
    """Sum over some arrays of an ``.npz``, or of a folder of parts, whose arrays follow each other along axis 0.

    Raises:
        FileError: a file is damaged or lacks an array.
    """
    parts = sorted(path.glob("part-*.npz")) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name}\n".encode())
        for line in _bytes_of(parts, name):
            digest.update(line)
    return digest.hexdigest()


def _bytes_of(parts: Iterable[Path], name: str) -> Iterable[bytes | memoryview]:
    """Every row in order; then type, shape of a row and how many there were, which one file and its parts agree in."""
    rows, kind = 0, ""
    for part in parts:
        arrays = load_npz(part)
        if name not in arrays:
            raise FileError(f"{part} has no array {name!r} (it has {', '.join(arrays)}); run the step that writes it")
        array = np.ascontiguousarray(arrays[name])
        rows, kind = rows + len(array), f"{array.dtype.str} {list(array.shape[1:])}"
        yield array.data.cast("B") if array.size else b""
    yield f"{kind} x {rows}\n".encode()
