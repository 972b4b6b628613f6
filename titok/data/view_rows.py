"""A row of numbers for every view of every image, made by a network once and kept where a kill leaves them.

Letters: N images, V views, F numbers per row. Used for the features of the linear probe and for tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from titok.data.images import Images
from titok.data.views import View
from titok.runtime.files import FileError, read_json, write_json
from titok.runtime.progress import progress

RowsOf = Callable[[Tensor], Tensor]
"""Images (B, 3, S, S) in [0, 1], anywhere, to rows (B, F) on the CPU."""
_SECONDS = 30.0
"""Between two notes of how far a file is."""


def rows_of_views(
    path: Path,
    identity: Mapping[str, Any],
    images: Images,
    views: Sequence[View],
    rows_of: RowsOf,
    dtype: npt.DTypeLike,
    *,
    crop: int,
    batch_size: int,
    desc: str,
) -> np.ndarray:
    """(V, N, F) of ``dtype``, mapped from the file ``path``: rows of every view of every image, made where missing.

    ``identity`` (plain data) says what they are of. A file of something else is replaced; one that was cut short by a
    kill is gone on with. Memory holds a batch.
    """
    note = _note(path)
    rows = len(views) * len(images)
    found = _found(note, path, dict(identity))
    done, columns = (found["done"], found["columns"]) if found else (0, 0)
    if found is None:
        note.unlink(missing_ok=True)  # It may speak of a file that is about to be overwritten.
    written = time.monotonic()
    with progress(rows, initial=done, desc=desc, unit="image") as bar:
        while done < rows:
            view, start = divmod(done, len(images))
            for batch in images.crops(crop, batch_size, views[view].crop_of, range(start, len(images))):
                made = rows_of(batch.images).numpy()
                columns = made.shape[1]
                stored = _mapped(path, dtype, (rows, columns), "r+" if done else "w+")
                stored[done : done + len(made)] = made
                done += len(made)
                bar.update(len(made))
                if done == rows or time.monotonic() > written + _SECONDS:
                    stored.flush()
                    write_json(note, {"identity": dict(identity), "done": done, "columns": columns})
                    written = time.monotonic()
    return _mapped(path, dtype, (rows, columns), "r").reshape(len(views), len(images), columns)


def remove_rows(path: Path) -> None:
    """Removes a file of rows, once they are kept elsewhere."""
    _note(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _note(path: Path) -> Path:
    return path.with_suffix(".json")


def _found(note: Path, path: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """How far the file is, or None when there is none of these rows."""
    try:
        found: dict[str, Any] = read_json(note)
    except FileError:
        return None
    return found if found.get("identity") == identity and path.exists() else None


def _mapped(path: Path, dtype: npt.DTypeLike, shape: tuple[int, int], mode: Literal["r", "r+", "w+"]) -> np.memmap:
    path.parent.mkdir(parents=True, exist_ok=True)
    return np.memmap(path, dtype, mode, shape=shape)
