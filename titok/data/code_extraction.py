"""Extraction of proxy codes: images are read once for all their views, encoded in fixed batches, and kept in parts.

Letters: V views, S side of a window, P proxy codes per view, B windows at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from titok.data.code_facts import CodeFacts, CodesError
from titok.data.code_parts import PartFolder
from titok.data.code_store import CodeStore
from titok.data.loading import batches_of, in_order
from titok.data.shards import ShardReader
from titok.data.transforms import crop_pixels, resized, resized_size
from titok.runtime.seed import derive_seed

Encode = Callable[[Tensor], Tensor]
"""Windows (B, 3, S, S) uint8 to codes (B, P) on the CPU."""
Gap = Callable[[Tensor, Tensor], Tensor]
"""Windows (B, 3, S, S) uint8 and codes (B, P) to how much farther than the nearest code each is, (B, P), relative to
the squared lengths involved; 0 is the nearest."""


class ViewReader:
    """Reads samples of a split as the windows of all their views."""

    def __init__(self, directory: Path, split: str, facts: CodeFacts) -> None:
        self.samples = ShardReader(directory, split)
        if self.samples.fingerprint != facts.fingerprint:
            raise CodesError(
                f"split {split!r} of {directory} has fingerprint {self.samples.fingerprint}, but the codes are of "
                f"images with {facts.fingerprint}; name the images that were encoded, or extract codes of these"
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


def extract_parts(
    read: ViewReader,
    encode: Encode,
    folder: PartFolder,
    parts: Sequence[range],
    *,
    batch_size: int,
    workers: int,
    made_by: Mapping[str, Any],
    tell: Callable[[int], object] = lambda images: None,
) -> None:
    """Makes and writes ``parts`` one after another; ``tell`` hears of every few images done.

    A batch never reaches into the next part, so that codes do not depend on which parts are made by whom. At most
    ``batch_size`` windows are encoded at once. Memory holds one part and the batches that workers have ready.
    """
    images_at_once = max(1, batch_size // folder.facts.shape[1])
    batches = [batch for images in parts for batch in batches_of(images, images_at_once)]
    stream = in_order(read, batches, workers=workers, name=read.samples.name)
    for images in parts:
        codes = np.empty((len(images), *folder.facts.shape[1:]), np.int64)
        for batch in batches_of(images, images_at_once):
            codes[batch[0] - images.start : batch[-1] + 1 - images.start] = encode_views(
                encode, next(stream), batch_size
            )
            tell(len(batch))
        folder.write(images, codes, made_by)


def encode_views(encode: Encode, windows: Tensor, batch_size: int) -> Tensor:
    """Codes (B, V, P) of windows (B, V, 3, S, S) uint8, at most ``batch_size`` windows at once."""
    found = [encode(part) for part in windows.flatten(0, 1).split(batch_size)]
    return torch.cat(found).unflatten(0, windows.shape[:2])


class Verification(NamedTuple):
    """Outcome of encoding some images again."""

    images: int
    codes: int
    changed: int
    """Codes that are others now."""
    worst_gap: float
    """Of the changed ones: how much farther the stored code is than the nearest, relatively; rounding gives 1e-6."""


def verify_sample(
    store: CodeStore,
    read: ViewReader,
    gap: Gap,
    *,
    samples: int,
    seed: int,
    batch_size: int,
    workers: int,
    tolerance: float,
    tell: Callable[[int], object] = lambda images: None,
) -> Verification:
    """Encodes ``samples`` random images again, all views, and compares.

    Rounding differs with batch sizes, devices and versions, so a code counts as wrong only when it is farther from the
    latent than the nearest one by more than ``tolerance``.

    Raises ``CodesError`` that names the image and view of the first wrong code, and how many there are.
    """
    chosen = random_samples(len(store.codes), samples, seed)
    names = [spec["name"] for spec in store.facts.view_specs]
    changed, worst, wrong = 0, 0.0, []
    batches = list(batches_of(chosen, max(1, batch_size // len(names))))
    for batch, windows in zip(batches, in_order(read, batches, workers=workers, name=read.samples.name), strict=True):
        stored = torch.from_numpy(store.codes[batch].astype(np.int64))  # (B, V, P)
        parts = zip(windows.flatten(0, 1).split(batch_size), stored.flatten(0, 1).split(batch_size), strict=True)
        gaps = torch.cat([gap(*part) for part in parts]).unflatten(0, stored.shape[:2])
        changed += int((gaps > 0).sum())
        worst = max(worst, float(gaps.max()))
        wrong += [(batch[i], names[v]) for i, v, _ in (gaps > tolerance).nonzero().tolist()]
        tell(len(batch))
    checked = len(chosen) * store.codes[0].size
    if wrong:
        (index, view), images = wrong[0], len({index for index, _ in wrong})
        raise CodesError(
            f"{store.path}: {len(wrong)} of {checked} codes of {images} of {len(chosen)} images are not the nearest "
            f"ones (first: view {view!r} of {read.samples.name(index)}; relative gap up to {worst:.2g}, allowed "
            f"{tolerance:.2g}); images, VQGAN or file were changed, or decoding differs: extract the codes again"
        )
    return Verification(len(chosen), checked, changed, worst)


def random_samples(count: int, wanted: int, seed: int) -> list[int]:
    """``wanted`` different numbers below ``count`` (all, if there are no more), in ascending order."""
    draws = np.random.PCG64(derive_seed(seed, "verify")).random_raw(count)
    return sorted(np.argsort(draws, kind="stable")[:wanted].tolist())
