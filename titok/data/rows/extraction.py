"""Extraction of rows: images are read once for all their views, encoded in fixed batches, and kept in parts.

Letters: B windows at once, V views, S side of a window, F numbers in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from titok.data.loading import batches_of, in_order
from titok.data.rows.facts import Facts, RowsError
from titok.data.rows.parts import PartFolder
from titok.data.rows.store import RowStore, facts_beside, merge
from titok.data.shards import ShardReader
from titok.data.transforms import crop_pixels, resized, resized_size
from titok.runtime.progress import progress

Encode = Callable[[Tensor], Tensor]
"""Windows (B, 3, S, S) uint8 to rows (B, F) on the CPU."""


class ViewReader:
    """Reads samples of a split as the windows of all their views."""

    def __init__(self, directory: Path, split: str, facts: Facts) -> None:
        self.samples = ShardReader(directory, split)
        if self.samples.fingerprint != facts.fingerprint:
            raise RowsError(
                f"split {split!r} of {directory} has fingerprint {self.samples.fingerprint}, but the {facts.what} are "
                f"of images with {facts.fingerprint}; name the images that were encoded, or extract {facts.what} of "
                f"these"
            )
        self._facts = facts
        self.views = facts.view_list()

    def __call__(self, index: int) -> Tensor:
        """(V, 3, S, S) uint8, the windows of sample ``index``."""
        return self.windows(self.samples.image(index), index)

    def windows(self, image: Image.Image, index: int) -> Tensor:
        """(V, 3, S, S) uint8, the windows of an RGB image in the place of sample ``index``."""
        resize, rule, crop = self._facts.resize, self._facts.resize_rule, self._facts.crop
        width, height = resized_size(*image.size, resize, rule)
        image = resized(image, resize, rule)
        chosen = (view.crop_of(width, height, crop, index) for view in self.views)
        # Resizing an image to the size it has changes nothing, so every window comes from the one way to cut them.
        return torch.stack([crop_pixels(image, resize, crop, where, rule) for where in chosen])


def make_parts(
    read: ViewReader,
    encode: Encode,
    folder: PartFolder,
    parts: Sequence[range],
    *,
    batch_size: int,
    workers: int,
    made_by: Mapping[str, Any],
) -> None:
    """Makes those of ``parts`` that are not there yet, one after another; finished ones are checked and kept.

    At most ``batch_size`` windows are encoded at once, all of one view, and a batch never reaches into the next part,
    so that rows do not depend on which parts are made by whom. Memory holds one part, all views of ``batch_size``
    images, and the pieces of those that workers have ready.
    """
    missing = folder.missing(list(parts))
    pieces = [piece for images in missing for piece in _pieces(images, batch_size, len(read.views))]
    stream = in_order(read, [images for piece in pieces for images in piece], workers=workers, name=read.samples.name)
    done = sum(map(len, parts)) - sum(map(len, missing))
    with progress(sum(map(len, parts)), done, desc=folder.facts.what, unit="image") as bar:
        for images in missing:
            rows = []
            for piece in _pieces(images, batch_size, len(read.views)):
                rows.append(encode_views(encode, torch.cat([next(stream) for _ in piece]), batch_size))
                bar.update(len(rows[-1]))
            folder.write(images, torch.cat(rows).numpy(), made_by)


def stored_rows(
    path: Path,
    facts: Facts,
    read: ViewReader,
    encode: Encode,
    *,
    batch_size: int,
    workers: int,
    made_by: Mapping[str, Any],
) -> RowStore:
    """The rows in ``path`` (.npy), whose name is theirs alone: checked where they are there, else made and joined."""
    if facts_beside(path).exists():
        store = RowStore.open(path)
        store.verify_hashes()
        return store
    folder = PartFolder.of(path, facts)
    make_parts(read, encode, folder, facts.parts(), batch_size=batch_size, workers=workers, made_by=made_by)
    return merge(folder, path)


def encode_views(encode: Encode, windows: Tensor, batch_size: int) -> Tensor:
    """Rows (B, V, F) of windows (B, V, 3, S, S) uint8, at most ``batch_size`` windows at once, all of one view."""
    return torch.stack(
        [torch.cat([encode(part) for part in view.split(batch_size)]) for view in windows.unbind(dim=1)], dim=1
    )


def _pieces(images: range, batch_size: int, views: int) -> list[list[Sequence[int]]]:
    """The batches of a part, each in the pieces in which it is read: a worker's windows are a batch at most."""
    return [list(batches_of(batch, max(1, batch_size // views))) for batch in batches_of(images, batch_size)]
