"""A linear probe: how much of the class can be read off frozen features by a single layer (paper Figure 4b)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from titok.config.probe import ProbeOptimizer
from titok.config.training import Training
from titok.data.images import Batch
from titok.data.views import Draws
from titok.models.linear import Linear
from titok.runtime.transfers import sent
from titok.training.classifier import class_terms
from titok.training.optimizer import Player, trainable_parameters
from titok.training.task import MODEL, Task, Turn


class FeatureBatch(NamedTuple):
    """Features (B, F) float32 and classes (B,) int64."""

    features: Tensor
    labels: Tensor


class TrainingFeatures:
    """Endless batches of stored features, each a function of the step number alone; a random view per image and step.

    ``features`` (N, V, F) float32 may be mapped from a file.
    """

    def __init__(self, features: np.ndarray, labels: Tensor, batch_size: int, seed: int) -> None:
        if len(features) != len(labels):
            raise ValueError(f"features have shape {features.shape}, but there are {len(labels)} classes of images")
        self._features = features
        self._labels = labels
        self._draws = Draws.of(features, batch_size, seed)

    def batch(self, step: int) -> FeatureBatch:
        """Batch ``step`` (from 0)."""
        samples, views = self._draws.columns(step)
        return FeatureBatch(torch.from_numpy(self._features[samples, views]), self._labels[torch.from_numpy(samples)])


class FreshFeatures:
    """Endless batches of features of images that are read and encoded anew, a part of a batch at a time.

    ``read`` gives a part's images by its number, counted over all batches; ``parts`` make up a batch. Memory holds one
    part's images.
    """

    def __init__(self, read: Callable[[int], Batch], features_of: Callable[[Tensor], Tensor], parts: int) -> None:
        self._read = read
        self._features_of = features_of
        self._parts = parts

    def batch(self, step: int) -> FeatureBatch:
        """Batch ``step`` (from 0)."""
        found = []
        for part in range(step * self._parts, (step + 1) * self._parts):
            images, labels = self._read(part)
            found.append(FeatureBatch(self._features_of(images), labels))
        return FeatureBatch(*map(torch.cat, zip(*found, strict=True)))


class LinearProbe(nn.Module):
    """Batch norm without learnt scale, then one linear layer, as in the MAE protocol (He et al. 2022, appendix A).

    The norm only standardises: it makes features of any scale equally easy to train on and adds no capacity.
    """

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(num_features, affine=False, eps=1e-6)
        self.linear = Linear(num_features, num_classes)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) to class logits (B, C)."""
        return cast(Tensor, self.linear(self.norm(features)))

    @property
    def sizes(self) -> dict[str, int]:
        """From which it can be built again."""
        return {"num_features": self.linear.in_features, "num_classes": self.linear.out_features}


class LinearProbes(nn.Module):
    """Linear probes side by side, each on columns of its own; their losses are added, so that none feels another."""

    def __init__(self, probes: Mapping[str, LinearProbe]) -> None:
        super().__init__()
        self.probes = nn.ModuleDict(probes)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """(B, F of all probes, in their order) to class logits (B, C) by name."""
        columns = features.split([size["num_features"] for size in self.sizes.values()], dim=1)
        return {name: probe(part) for (name, probe), part in zip(self.probes.items(), columns, strict=True)}

    @property
    def sizes(self) -> dict[str, dict[str, int]]:
        """From which they can be built again."""
        return {name: cast(LinearProbe, probe).sizes for name, probe in self.probes.items()}


class ProbeTask(Task):
    """Cross entropy of a linear probe, or of several at once."""

    name = "probe"

    def __init__(self, model: LinearProbe | LinearProbes, training: Training) -> None:
        super().__init__()
        self.model = model
        self.players = {MODEL: Player(model, training, optimizer=_lars(model, training))}
        kind = "linear_probe" if isinstance(model, LinearProbe) else "linear_probes"
        self.config = {"kind": kind, "model": model.sizes}

    def updates(self, batch: FeatureBatch, step: int, rng: torch.Generator) -> Iterator[Turn]:
        """One update."""
        features, labels = sent(batch.features, self.device), sent(batch.labels, self.device)
        found = self.model(features)
        if isinstance(found, Tensor):
            yield Turn(MODEL, class_terms(found, labels))
            return
        terms = {name: class_terms(logits, labels) for name, logits in found.items()}
        accuracies = {f"accuracy_{name}": own["accuracy"] for name, own in terms.items()}
        yield Turn(MODEL, {"loss": torch.stack([own["loss"] for own in terms.values()]).sum(), **accuracies})


def _lars(model: nn.Module, training: Training) -> Lars | None:
    """None where the settings say AdamW."""
    settings = training.optimizer
    if not isinstance(settings, ProbeOptimizer) or settings.kind == "adamw":
        return None
    return Lars(
        trainable_parameters(model).values(),
        settings.learning_rate,
        weight_decay=settings.weight_decay,
        momentum=settings.momentum,
        trust_coefficient=settings.trust_coefficient,
    )


class Lars(torch.optim.Optimizer):
    """Momentum SGD with a learning rate per matrix (You, Gitman and Ginsburg 2017): updates whose length is a share of
    the weights', whatever the gradient's. A ``found_inf`` of 1 (on the device) leaves everything as it is.

    As linear probes use it (He et al. 2022, appendix A.1): matrices only; vectors, like biases, follow plain momentum.
    """

    found_inf: Tensor | None = None

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        *,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        trust_coefficient: float = 0.001,
    ) -> None:
        """``weight_decay`` pulls on matrices only."""
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "trust": trust_coefficient}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update from the gradients that are there."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        update = gradient
        if parameter.ndim > 1:
            update = update + group["weight_decay"] * parameter
            lengths = parameter.norm(), update.norm()
            share = group["trust"] * lengths[0] / lengths[1]
            update = update * torch.where((lengths[0] > 0) & (lengths[1] > 0), share, 1.0)
        momentum = group["momentum"] * state["momentum"] + update
        moved = parameter - group["lr"] * momentum
        if self.found_inf is not None:
            momentum = torch.where(self.found_inf > 0, state["momentum"], momentum)
            moved = torch.where(self.found_inf > 0, parameter, moved)
        state["momentum"].copy_(momentum)
        parameter.copy_(moved)
