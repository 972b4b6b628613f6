"""Codes that travel with their images: the same batches as without, and the codes of those very crops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from titok.data.coded_images import CodedImages
from titok.data.images import ImageSet, TrainingImages


@pytest.fixture
def images():
    pixels = torch.from_numpy(np.random.Generator(np.random.PCG64(0)).integers(0, 256, (10, 3, 6, 6), dtype=np.uint8))
    return ImageSet(pixels, torch.arange(10), np.array([f"image {index}" for index in range(10)]), "made up")


def codes_of(batch: torch.Tensor) -> torch.Tensor:
    """Stands in for a VQGAN: codes that tell every crop from every other."""
    return (batch[:, 0, :2, :2].flatten(1) * 255).round().long()


@pytest.mark.parametrize("step", [0, 3, 7])
def test_batches_are_those_without_codes_and_codes_are_of_these_crops(images, step):
    plain = TrainingImages(images, 4, 4, seed=5, random_crop=False, random_flip=False).batch(step)
    coded = CodedImages(images, 4, 4, 5, codes_of).batch(step)
    assert torch.equal(coded.images, plain.images)
    assert torch.equal(coded.labels, plain.labels)
    assert torch.equal(coded.codes, codes_of(plain.images))


def test_every_image_is_tokenised_once(images):
    seen = []
    source = CodedImages(images, 4, 4, 5, lambda batch: seen.append(len(batch)) or codes_of(batch))
    for step in range(6):
        source.batch(step)
    assert sum(seen) == len(images)


def test_processes_share_the_global_batch(images):
    whole = CodedImages(images, 4, 4, 5, codes_of).batch(2)
    parts = [CodedImages(images, 4, 4, 5, codes_of, rank=rank, world_size=2).batch(2) for rank in range(2)]
    assert torch.equal(torch.cat([part.codes for part in parts]), whole.codes)
