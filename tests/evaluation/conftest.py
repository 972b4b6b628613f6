"""An untrained but fixed judge, and images for it: what the evaluation tests share."""

from __future__ import annotations

import pytest
import torch

from titok.config.model import ClassifierModel
from titok.metrics.features import ClassifierExtractor
from titok.models.classifier import Classifier


@pytest.fixture(scope="session")
def judge() -> ClassifierExtractor:
    """12 features, 10 classes; its weights are scaled up so that images differ clearly."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Classifier(ClassifierModel(channels=(8, 16), feature_dim=12, num_classes=10))
    with torch.no_grad():
        for layer in (model.to_features[0], model.to_logits):
            layer.weight *= 30
    return ClassifierExtractor(model, "judge", sha256="ab" * 32)


@pytest.fixture(scope="session")
def images() -> torch.Tensor:
    """(100, 3, 16, 16) blocks in [0, 1], multiples of 1/255."""
    small = torch.rand(100, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    return (small.repeat_interleave(4, 2).repeat_interleave(4, 3) * 255).round() / 255
