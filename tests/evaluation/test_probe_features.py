"""Probe features: pooling, files that go on where they stopped, accuracy, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from titok.config.views import ViewSet
from titok.data.images import ImageSet
from titok.data.transforms import from_uint8
from titok.data.views import views_of
from titok.evaluation.findings import ScoreError
from titok.evaluation.probe_features import features_by, pool_latents, probe_accuracy, stored_features

PIXELS = torch.randint(0, 256, (10, 3, 6, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
IMAGES = ImageSet(PIXELS, torch.arange(10) % 3, np.array([f"{n}" for n in range(10)]), "made up")
VIEWS = views_of(ViewSet(crops="centre", mirrored=True))
CPU = torch.device("cpu")


def encode(images: torch.Tensor) -> torch.Tensor:
    """(B, 3, 4, 4) -> 6 tokens of 8 channels."""
    return images.reshape(len(images), 6, 8)


MEAN = features_by(encode, "mean", CPU)


def stored(path: Path, features_of: Callable = MEAN, of: str = "a", batch_size: int = 4) -> np.ndarray:
    return stored_features(path, {"model": of}, IMAGES, VIEWS, features_of, crop=4, batch_size=batch_size)


def test_pooling() -> None:
    latents = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]])
    assert pool_latents(latents, "mean").tolist() == [[2.0, 4.0]]
    assert pool_latents(latents, "concatenate").tolist() == [[1.0, 2.0, 3.0, 6.0]]


@pytest.mark.parametrize(("pooling", "size"), [("mean", 8), ("concatenate", 48)])
@pytest.mark.parametrize("batch_size", [1, 4, 10])
def test_every_view_of_every_image_is_stored(tmp_path: Path, pooling: str, size: int, batch_size: int) -> None:
    features = stored(tmp_path / "f", features_by(encode, pooling, CPU), batch_size=batch_size)
    centres = from_uint8(PIXELS[:, :, 1:5, 1:5])
    expected = [pool_latents(encode(windows.contiguous()), pooling) for windows in (centres, centres.flip(-1))]
    assert features.shape == (2, 10, size)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, torch.stack(expected))


def test_a_pass_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("titok.evaluation.probe_features._SECONDS", -1.0)
    seen = 0

    def stops(images: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        if seen >= 13:
            raise KeyboardInterrupt
        seen += len(images)
        return pool_latents(encode(images), "mean")

    with pytest.raises(KeyboardInterrupt):
        stored(tmp_path / "f", stops)
    done = json.loads((tmp_path / "f.json").read_text())["done"]
    assert done == 14  # batches of 4, 4, 2 of the first view, 4 of the second
    encoded = []

    def counts(images: torch.Tensor) -> torch.Tensor:
        encoded.append(len(images))
        return pool_latents(encode(images), "mean")

    resumed = stored(tmp_path / "f", counts)
    assert sum(encoded) == 20 - done
    np.testing.assert_array_equal(resumed, stored(tmp_path / "whole"))
    stored(tmp_path / "f", counts)
    assert sum(encoded) == 20 - done, "a finished file is used as it is"


def test_features_of_something_else_are_made_anew(tmp_path: Path) -> None:
    stored(tmp_path / "f")
    doubled = stored(tmp_path / "f", lambda images: 2 * pool_latents(encode(images), "mean"), of="b")
    np.testing.assert_allclose(doubled, 2 * stored(tmp_path / "other"))


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
