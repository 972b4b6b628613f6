"""Whole sets of samples: order, independence of the batch size, parts, pixel values, speed, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from generation.fake_generators import TableGenerator
from torch import Tensor

from titok.config.sampling import Sampler
from titok.errors import OptionError
from titok.generation.sample import SampleBatch, balanced_labels, sample_images

CPU = torch.device("cpu")
SAMPLER = Sampler(num_steps=3, guidance_scale=2.0, choice_temperature=5.0)


def paint(tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
    """A de-tokenizer: images (B, 3, 2, 3) from 6 tokens, with values on both sides of [0, 1]."""
    return (tokens.float() / 4 - 0.5).reshape(-1, 1, 2, 3) * torch.tensor([1.0, 1.1, 0.9])[:, None, None]


def run(labels: np.ndarray, batch_size: int, **options: object) -> list[SampleBatch]:
    return list(
        sample_images(
            TableGenerator(), paint, labels, SAMPLER, **{"seed": 4, "batch_size": batch_size, "device": CPU, **options}
        )
    )


def pixels(batches: list[SampleBatch]) -> np.ndarray:
    return np.concatenate([batch.images for batch in batches])


@pytest.mark.parametrize("batch_size", [1, 2, 5, 12, 100])
def test_same_images_whatever_the_batch_size(batch_size: int) -> None:
    labels = balanced_labels(12, 3)
    batches = run(labels, batch_size)
    images = pixels(batches)
    assert images.shape == (12, 2, 3, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, pixels(run(labels, 12)))
    np.testing.assert_array_equal(np.concatenate([batch.labels for batch in batches]), [0, 1, 2] * 4)
    np.testing.assert_array_equal(np.concatenate([batch.indices for batch in batches]), np.arange(12))
    assert len(np.unique(images.reshape(12, -1), axis=0)) > 6
    assert all(batch.seconds > 0 for batch in batches)


def test_a_part_of_the_set_is_a_part_of_the_images() -> None:
    labels = balanced_labels(12, 3)
    part = run(labels[7:], 2, indices=np.arange(7, 12))
    np.testing.assert_array_equal(pixels(part), pixels(run(labels, 5))[7:])
    np.testing.assert_array_equal(np.concatenate([batch.indices for batch in part]), np.arange(7, 12))


def test_seeds_differ() -> None:
    labels = balanced_labels(12, 3)
    one, other = (pixels(run(labels, 12, seed=seed)) for seed in (0, 1))
    assert (one != other).any()


def test_pixels_are_clamped_and_cut_off() -> None:
    """255 * x without rounding, as the published samples; channels last."""
    values = torch.tensor([-0.2, 0.5, 0.999, 1.0, 1.7, 1 / 255]).reshape(1, 1, 2, 3).expand(1, 3, 2, 3)
    batches = sample_images(
        TableGenerator(), lambda *_: values, np.zeros(1, np.int64), SAMPLER, seed=0, batch_size=1, device=CPU
    )
    images = next(batches).images
    assert images[0, ..., 0].flatten().tolist() == [0, 127, 254, 255, 255, 1]
    np.testing.assert_array_equal(images[..., 0], images[..., 2])


def test_values_that_are_not_finite_are_noticed() -> None:
    def broken(tokens: Tensor, lengths: Tensor | None) -> Tensor:
        return torch.where(torch.arange(len(tokens))[:, None, None, None] == 1, torch.nan, paint(tokens))

    batches = sample_images(TableGenerator(), broken, balanced_labels(6, 3), SAMPLER, seed=0, batch_size=3, device=CPU)
    with pytest.raises(OptionError, match="samples 0 to 2 contain values that are not finite"):
        next(batches)


def test_balanced_labels() -> None:
    assert balanced_labels(6, 3).tolist() == [0, 1, 2, 0, 1, 2]
    assert np.bincount(balanced_labels(50_000, 1000)).tolist() == [50] * 1000
    with pytest.raises(OptionError, match=r"num_samples is 7.*multiple of 3.*allow_unbalanced"):
        balanced_labels(7, 3)
    assert balanced_labels(7, 3, allow_unbalanced=True).tolist() == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": np.array([0, 3])}, "label 3 is no class of this generator; allowed: 0 to 2"),
        ({"labels": np.array([-1])}, "label -1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"indices": np.arange(5)}, "2 labels but 5 indices"),
    ],
)
def test_impossible_requests_are_refused_before_anything_runs(options: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        sample_images(
            TableGenerator(),
            paint,
            **{"labels": np.array([0, 1]), "sampler": SAMPLER, "seed": 0, "batch_size": 2, "device": CPU, **options},
        )


def test_training_mode_is_refused() -> None:
    generator = TableGenerator()
    generator.training = True
    with pytest.raises(OptionError, match="training mode"):
        sample_images(generator, paint, np.array([0]), SAMPLER, seed=0, batch_size=1, device=CPU)
