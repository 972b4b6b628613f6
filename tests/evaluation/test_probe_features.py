"""Probe features: pooling, accuracy, and what is refused."""

from __future__ import annotations

import pytest
import torch

from titok.data.transforms import from_uint8
from titok.errors import ScoreError
from titok.evaluation.probe_features import Pooling, features_by, pool_latents, probe_accuracy

CPU = torch.device("cpu")


def encode(images: torch.Tensor) -> torch.Tensor:
    """(B, 3, 4, 4) -> 6 tokens of 8 channels."""
    return images.reshape(len(images), 6, 8)


def test_pooling() -> None:
    latents = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]])
    assert pool_latents(latents, "mean").tolist() == [[2.0, 4.0]]
    assert pool_latents(latents, "concatenate").tolist() == [[1.0, 2.0, 3.0, 6.0]]


def test_accuracy_over_batches() -> None:
    batches = [(torch.eye(4), torch.tensor([0, 1, 2, 0])), (torch.eye(4)[:2], torch.tensor([0, 1]))]
    assert probe_accuracy(lambda features: features, batches, CPU) == 5 / 6
    with pytest.raises(ScoreError, match="no images to probe"):
        probe_accuracy(lambda features: features, [], CPU)


def test_latents_that_are_no_numbers_are_refused() -> None:
    broken = torch.zeros(4, 3, 4, 4)
    broken[3, 0, 0, 0] = torch.nan
    with pytest.raises(ScoreError, match="1 of 4 images have latents that are NaN"):
        features_by(encode, "mean", CPU)(broken)


@pytest.mark.parametrize("pooling", ["mean", "concatenate"])
def test_features_are_pooled_latents_of_images_of_any_kind(pooling: Pooling) -> None:
    images = torch.randint(0, 256, (5, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    expected = pool_latents(encode(from_uint8(images)), pooling)
    for given in (images, from_uint8(images)):
        assert torch.equal(features_by(encode, pooling, CPU)(given), expected)
