"""Ids that another program made of the training images, checked, in the order of the images.

Nothing is dropped, cut or guessed: what is missing, there twice, misnamed or no id is told by its row. What a file says
by itself is checked before anything runs, too. No torch here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from titok.config.data_jobs import ExternalTokensJob
from titok.config.image_counts import stated_images
from titok.config.study import Study
from titok.errors import TokenError, some_of
from titok.runtime.files import FileError, load_npz

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
    arrays = foreign_arrays(path, num_tokens=num_tokens, codebook_size=codebook_size, num_images=len(keys))
    ids = arrays["ids"]
    order = _order(path, arrays["names"].astype(str).tolist(), keys) if "names" in arrays else np.arange(len(ids))
    if "labels" in arrays:
        _require_labels(path, arrays["labels"][order], labels, order, keys)
    return np.asarray(ids[order])


def require_fitting_ids(study: Study) -> None:
    """Refuses a study whose files of ids are not what it says of them; one that is not here is not looked at, and how
    many rows there are is compared where the study says how many images there will be, to the last one.

    Raises:
        TokenError: with the first fault of every such file.
    """
    dataset, faults = study.dataset, []
    stated = None if dataset.allow_undecodable else stated_images(dataset, "train")
    for name in ExternalTokensJob.names(study):
        told = ExternalTokensJob.of(study, name)
        path = Path(told.tokens.path)
        if not path.exists():
            continue
        try:
            foreign_arrays(path, num_tokens=told.num_latent_tokens, codebook_size=told.codebook_size, num_images=stated)
        except (TokenError, FileError) as error:
            faults.append(f"external.{name}.tokens: {error}")
    if faults:
        raise TokenError("; ".join(faults))


def foreign_arrays(path: Path, *, num_tokens: int, codebook_size: int, num_images: int | None) -> dict[str, np.ndarray]:
    """`ids` (N, K) and, of the images, `names` (N,), `labels` (N,) or both: all that can be checked without the images.

    Args:
        path: the `.npz`.
        num_tokens: K.
        codebook_size: V.
        num_images: N; null where it is not known yet.

    Raises:
        TokenError: an array is missing, or of another shape, type or range.
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
    _require_shape(path, ids.shape, num_tokens, num_images)
    _require_values(path, ids, codebook_size)
    for name in {"names", "labels"} & arrays.keys():
        if arrays[name].shape != (len(ids),):
            raise TokenError(
                f"{path} has {name} of shape {arrays[name].shape} for {len(ids)} rows of ids; give one each"
            )
    return arrays


def _require_shape(path: Path, found: tuple[int, ...], num_tokens: int, num_images: int | None) -> None:
    if len(found) == 2 and found[1] == num_tokens and num_images in (None, found[0]):
        return
    there = "training images" if num_images is None else f"{num_images} training images"
    raise TokenError(
        f"{path} has ids of shape {found}; there are {there} of {num_tokens} ids (num_latent_tokens): give one row for "
        f"each image"
    )


def _require_values(path: Path, ids: np.ndarray, codebook_size: int) -> None:
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
