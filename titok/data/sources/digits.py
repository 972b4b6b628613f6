"""The handwritten digits inside scikit-learn as PNG shards: a dataset for laptops, no download.

1797 images of 8 x 8 pixels with 17 grey levels (UCI "Optical Recognition of Handwritten Digits", test part).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from titok.config.data_sources import DatasetIdentity
from titok.data.order import permutation
from titok.data.plain_png import plain_png
from titok.data.shards import ShardWriter

MARGIN = 1
"""Background pixels added around a digit. The strokes touch the upper and lower edge of the 8 x 8 images: without a
margin, a random crop of 16 out of 18 pixels cuts them off, and a 0 at the bottom edge reads as an n."""


def prepare_digits(directory: str | Path, config: DatasetIdentity) -> None:
    """Writes the splits ``train`` and ``test`` (see ``titok.data.shards``) into ``directory``.

    Each image is stored without loss as a grey 10 x 10 PNG (value x 255 / 16, rounded, with the margin); enlarging is
    the transform's business. Keys are ``digit-<number in scikit-learn's order>``.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.pad(np.rint(digits.images * 255 / 16).astype(np.uint8), ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))
    labels = digits.target
    is_test = stratified_test_split(labels, config.test_images, config.split_seed)
    source = {"name": "scikit-learn digits", "licence": "CC BY 4.0", "margin": MARGIN, "split_seed": config.split_seed}
    for split, chosen in (("train", ~is_test), ("test", is_test)):
        names = [str(name) for name in range(config.num_classes)]
        with ShardWriter(directory, split, class_names=names, source=source) as writer:
            for index in np.flatnonzero(chosen):
                writer.write(f"digit-{index:04d}", plain_png(grey[index]), int(labels[index]))


def stratified_test_split(labels: np.ndarray, test_images: int, seed: int) -> np.ndarray:
    """(N,) bool, True for test images: each class gives its share of ``test_images``, rounded by largest remainder."""
    counts = np.bincount(labels)
    shares = counts * test_images / counts.sum()
    quotas = np.floor(shares).astype(int)
    most_cut = np.argsort(quotas - shares, kind="stable")
    quotas[most_cut[: test_images - quotas.sum()]] += 1
    order = permutation(len(labels), seed, 0)
    chosen = np.concatenate([order[labels[order] == label][:quota] for label, quota in enumerate(quotas)])
    is_test = np.zeros(len(labels), dtype=bool)
    is_test[chosen] = True
    return is_test
