"""Ids that another program made of the training images, checked, in the order of the images.

Nothing is dropped, cut or guessed: what is missing, there twice, misnamed or no id is told by its row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from titok.data.tokens import TokenError
from titok.errors import some_of
from titok.runtime.files import load_npz

SHOWN = 4
"""Names in a sentence."""


def foreign_ids(
    path: Path, keys: Sequence[str], labels: np.ndarray, *, num_tokens: int, codebook_size: int
) -> np.ndarray:
    """Ids (N, K) of the images, in their order.

    Args:
        path: a `.npz` with `ids` (N, K), and `names` (N,), `labels` (N,) or both.
        keys: the images' names, in their order.
        labels: (N,) their classes.
        num_tokens: K.
        codebook_size: V; ids go from 0 to V - 1.

    Raises:
        TokenError: they are not one to one with the images, or not such ids; names the first rows.
        FileError: there is no such file, or it is damaged.
    """
    arrays = load_npz(path)
    if "ids" not in arrays or not {"names", "labels"} & arrays.keys():
        raise TokenError(
            f"{path} has the arrays {', '.join(sorted(arrays)) or 'of nothing'}; needed: ids (N, K) and, of the "
            f"images, their names, or their classes as labels"
        )
    if "lengths" in arrays:
        raise TokenError(f"{path} has lengths; every image needs {num_tokens} ids: give ids of one length, no lengths")
    ids = arrays["ids"]
    _require_ids(path, ids, (len(keys), num_tokens), codebook_size)
    for name in {"names", "labels"} & arrays.keys():
        if arrays[name].shape != (len(ids),):
            raise TokenError(
                f"{path} has {name} of shape {arrays[name].shape} for {len(ids)} rows of ids; give one each"
            )
    order = _order(path, arrays["names"].astype(str).tolist(), keys) if "names" in arrays else np.arange(len(ids))
    if "labels" in arrays:
        _require_labels(path, arrays["labels"][order], labels, order, keys)
    return np.asarray(ids[order])


def _require_ids(path: Path, ids: np.ndarray, shape: tuple[int, int], codebook_size: int) -> None:
    if ids.shape != shape:
        raise TokenError(
            f"{path} has ids of shape {ids.shape}; there are {shape[0]} training images of {shape[1]} ids "
            f"(num_latent_tokens): give one row for each image"
        )
    if not np.issubdtype(ids.dtype, np.integer):
        raise TokenError(f"{path} has ids of type {ids.dtype}; ids are whole numbers: write integers")
    wrong = np.flatnonzero(((ids < 0) | (ids >= codebook_size)).any(axis=1))
    if len(wrong):
        row = int(wrong[0])
        found = next(int(value) for value in ids[row] if not 0 <= value < codebook_size)
        raise TokenError(
            f"{path}: {len(wrong)} rows of ids, first row {row}, have values such as {found}; allowed: 0 to "
            f"{codebook_size - 1} (codebook_size {codebook_size})"
        )


def _order(path: Path, names: Sequence[str], keys: Sequence[str]) -> np.ndarray:
    """(N,) the row of each image."""
    rows, known = {name: row for row, name in enumerate(names)}, set(keys)
    faults = {
        "images without ids": [key for key in keys if key not in rows],
        "names more than once": [name for name, count in Counter(names).items() if count > 1],
        "names of no training image": [name for name in rows if name not in known],
    }
    if any(faults.values()):
        said = "; ".join(f"{len(found)} {what}: {some_of(found, SHOWN)}" for what, found in faults.items() if found)
        raise TokenError(f"{path}: {said}. A row is called like its image, such as {keys[0]}")
    return np.array([rows[key] for key in keys])


def _require_labels(path: Path, found: np.ndarray, labels: np.ndarray, order: np.ndarray, keys: Sequence[str]) -> None:
    wrong = np.flatnonzero(found != labels)
    if len(wrong):
        image = int(wrong[0])
        raise TokenError(
            f"{path}: {len(wrong)} labels are not their images', first row {int(order[image])}: {found[image]} where "
            f"{keys[image]} has class {labels[image]}; write the rows in the order of the images, or with their names"
        )
