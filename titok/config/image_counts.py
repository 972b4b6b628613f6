"""How many images a split has, as far as a study says so itself; nothing is read."""

from __future__ import annotations

from typing import Literal

from titok.config.data import StudyDataset

DIGITS = 1797
"""Images that ship inside scikit-learn."""
NUM_EXAMPLES = 32
"""Test images kept beside a reconstruction score, for the figures."""


def stated_images(dataset: StudyDataset, split: Literal["train", "test"]) -> int | None:
    """Images of a split, by `dataset.images` or because the kind has a fixed number; None if only its files know."""
    if dataset.images is not None:
        return dataset.images.train if split == "train" else dataset.images.test
    if dataset.kind == "digits":
        return dataset.test_images if split == "test" else DIGITS - dataset.test_images
    known = dataset.source.known_images
    return known[split] if known else None
