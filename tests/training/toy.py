"""A task of ten lines with one or two players: the loop's guinea pig."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from titok.config.training import Optimizer, Schedule, Training
from titok.training.optimizer import Player
from titok.training.task import Task, Turn


class ToyBatch(NamedTuple):
    x: Tensor
    labels: Tensor


class ToyBatches:
    """Points on a noisy line; ``broken_step`` gives a batch with NaN."""

    def __init__(self, batch_size: int = 8, broken_step: int | None = None) -> None:
        self.batch_size = batch_size
        self.broken_step = broken_step

    def batch(self, step: int) -> ToyBatch:
        x = torch.randn(self.batch_size, 4, generator=torch.Generator().manual_seed(step))
        if step == self.broken_step:
            x[0, 0] = float("nan")
        return ToyBatch(x, torch.arange(self.batch_size) % 3)


class ToyTask(Task):
    """Regression with dropout, batch norm (buffers), draws from the step's generator and an optional adversary."""

    name = "toy"

    def __init__(self, training: Training, *, adversary: bool = False, constant_codes: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))
        self.adversary = nn.Linear(1, 1) if adversary else None
        self.codebook_size = 16
        self.constant_codes = constant_codes
        self.config = {"kind": "toy", "width": 8}
        self.players = {"model": Player(self.model, training)}
        if self.adversary is not None:
            self.players["adversary"] = Player(self.adversary, training, learning_rate=1e-3, start_step=3)

    def updates(self, batch: ToyBatch, step: int, rng: torch.Generator) -> Iterator[Turn]:
        noise = torch.rand(len(batch.x), 1, generator=rng)
        out = self.model(batch.x)
        target = batch.x.sum(dim=1, keepdim=True) + 0.1 * noise
        indices = (out.detach().flatten() * (0 if self.constant_codes else 4)).long() % 16
        yield Turn("model", {"loss": ((out - target) ** 2).mean(), "noise": noise.mean(), "indices": indices})
        if self.adversary is not None and step >= self.players["adversary"].start_step:
            yield Turn("adversary", {"loss": (self.adversary(out.detach()) - target).abs().mean()})


def toy_training(**changes: object) -> Training:
    """Twelve steps, a line of the log every four."""
    settings: dict[str, object] = {
        "steps": 12,
        "batch_size": 8,
        "optimizer": Optimizer(learning_rate=1e-2),
        "schedule": Schedule(warmup_steps=2, end_learning_rate=1e-3),
        "log_every": 4,
    }
    return Training(**{**settings, **changes})  # type: ignore[arg-type]
