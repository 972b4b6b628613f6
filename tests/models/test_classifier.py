"""The small classifier learns digits in seconds, takes any image size and has a gradient everywhere.

Run: pytest tests/models/test_classifier.py
"""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from titok.config.model import ClassifierModel
from titok.models.classifier import Classifier


def digits() -> tuple[Tensor, Tensor]:
    """All 1,797 digits (N, 3, 16, 16) in [0, 1] and their classes."""
    data = load_digits()
    small = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    return F.interpolate(small, size=16, mode="bilinear").expand(-1, 3, -1, -1), torch.tensor(data.target)


@pytest.mark.parametrize("side", [16, 20, 32])
@pytest.mark.parametrize("channels", [(8,), (8, 16), (8, 8, 8)])
def test_shapes_at_any_size(side: int, channels: tuple[int, ...]) -> None:
    classifier = Classifier(ClassifierModel(channels=channels, feature_dim=24, num_classes=7))
    images = torch.rand(2, 3, side, side)
    assert classifier.features(images).shape == (2, 24)
    assert classifier(images).shape == (2, 7)


def test_logits_are_linear_in_the_features_and_dropout_is_for_training_only() -> None:
    classifier = Classifier(ClassifierModel(dropout=0.5))
    images = torch.rand(2, 3, 16, 16)
    assert not torch.equal(classifier(images), classifier(images))
    classifier.eval()
    torch.testing.assert_close(classifier(images), classifier.to_logits(classifier.features(images)))


def test_images_do_not_influence_each_other() -> None:
    classifier = Classifier(ClassifierModel())
    images = torch.rand(4, 3, 16, 16)
    torch.testing.assert_close(classifier.features(images)[1:2], classifier.features(images[1:2]))


def test_every_pixel_has_a_gradient_of_similar_size() -> None:
    torch.manual_seed(0)
    classifier = Classifier(ClassifierModel())
    images = torch.rand(64, 3, 16, 16, requires_grad=True)
    classifier.features(images).square().sum().backward()
    assert images.grad is not None
    size = images.grad.abs().mean(dim=(0, 1))[2:-2, 2:-2]
    assert size.min() > 0.3 * size.max()


def test_it_learns_digits_in_a_few_hundred_steps() -> None:
    torch.manual_seed(0)
    images, labels = digits()
    order = torch.randperm(len(images))
    train, held_out = order[:1297], order[1297:]
    classifier = Classifier(ClassifierModel(channels=(16, 32)))
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 250)
    for _ in range(250):
        batch = train[torch.randint(len(train), (64,))]
        loss = nn.functional.cross_entropy(classifier(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    classifier.eval()
    with torch.no_grad():
        accuracy = (classifier(images[held_out]).argmax(1) == labels[held_out]).float().mean()
    assert accuracy >= 0.97
