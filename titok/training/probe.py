"""A linear probe: how much of the class can be read off frozen features by a single layer (paper Figure 4b)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from titok.config.training import Training
from titok.data.order import batch_indices
from titok.training.classifier import class_terms
from titok.training.optimizer import Player
from titok.training.task import MODEL, Task, Turn


class FeatureBatch(NamedTuple):
    """Features (B, F) float32 and classes (B,) int64."""

    features: Tensor
    labels: Tensor


class TrainingFeatures:
    """Endless batches of cached features (N, F) with labels (N,), each a function of the step number alone."""

    def __init__(self, features: Tensor, labels: Tensor, batch_size: int, seed: int) -> None:
        self._features = features
        self._labels = labels
        self._batch_size = batch_size
        self._seed = seed

    def batch(self, step: int) -> FeatureBatch:
        """Batch ``step`` (from 0)."""
        chosen = torch.from_numpy(batch_indices(step, self._batch_size, len(self._labels), self._seed))
        return FeatureBatch(self._features[chosen], self._labels[chosen])


class LinearProbe(nn.Module):
    """Batch norm without learnt scale, then one linear layer, as in the MAE protocol (He et al. 2022, appendix A).

    The norm only standardises: it makes features of any scale equally easy to train on and adds no capacity.
    """

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(num_features, affine=False, eps=1e-6)
        self.linear = nn.Linear(num_features, num_classes)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) to class logits (B, C)."""
        return cast(Tensor, self.linear(self.norm(features)))


class ProbeTask(Task):
    """Cross entropy of a linear probe."""

    name = "probe"

    def __init__(self, model: LinearProbe, training: Training) -> None:
        super().__init__()
        self.model = model
        self.players = {MODEL: Player(model, training)}
        sizes = {"num_features": model.linear.in_features, "num_classes": model.linear.out_features}
        self.config = {"kind": "linear_probe", "model": sizes}

    def updates(self, batch: FeatureBatch, step: int, rng: torch.Generator) -> Iterator[Turn]:
        """One update."""
        features = batch.features.to(self.device, non_blocking=True)
        yield Turn(MODEL, class_terms(self.model(features), batch.labels.to(self.device, non_blocking=True)))
