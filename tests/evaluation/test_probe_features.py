"""Probe features: pooling, batching, and what is refused."""

from __future__ import annotations

import pytest
import torch

from titok.evaluation.findings import ScoreError
from titok.evaluation.probe_features import pool_latents, probe_accuracy, probe_features

IMAGES = torch.rand(10, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def encode(images: torch.Tensor) -> torch.Tensor:
    """(B, 3, 4, 4) -> 6 tokens of 8 channels."""
    return images.reshape(len(images), 6, 8)


def test_pooling() -> None:
    latents = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]])
    assert pool_latents(latents, "mean").tolist() == [[2.0, 4.0]]
    assert pool_latents(latents, "concatenate").tolist() == [[1.0, 2.0, 3.0, 6.0]]


@pytest.mark.parametrize(("pooling", "size"), [("mean", 8), ("concatenate", 48)])
@pytest.mark.parametrize("batch_size", [1, 4, 10])
def test_features_do_not_depend_on_batches(pooling: str, size: int, batch_size: int) -> None:
    features = probe_features(encode, IMAGES.split(batch_size), pooling)
    assert features.shape == (10, size)
    torch.testing.assert_close(features, pool_latents(encode(IMAGES), pooling))


def test_features_can_be_trained_on() -> None:
    features = probe_features(encode, [IMAGES.bfloat16()])
    assert features.dtype == torch.float32
    layer = torch.nn.Linear(8, 2)
    layer(features).sum().backward()
    assert layer.weight.grad is not None


def test_accuracy() -> None:
    logits = torch.eye(4)
    assert probe_accuracy(logits, torch.tensor([0, 1, 2, 0])) == 0.75
    with pytest.raises(ScoreError, match=r"\(4, 4\) and labels \(3,\)"):
        probe_accuracy(logits, torch.tensor([0, 1, 2]))


def test_refusals() -> None:
    with pytest.raises(ScoreError, match="no images"):
        probe_features(encode, [])
    broken = IMAGES.clone()
    broken[3, 0, 0, 0] = torch.nan
    with pytest.raises(ScoreError, match="1 of 10 images have latents that are NaN"):
        probe_features(encode, broken.split(4))
