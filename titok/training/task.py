"""What the loop asks of an objective; tasks own models and losses, the loop owns time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from titok.training.optimizer import Player
from titok.training.shares import Shares

MODEL = "model"
"""The player every task has: its parameters are averaged, evaluated and exported."""


class Batch(Protocol):
    """What the loop itself needs to know of a batch, a named tuple of tensors; tasks know more."""

    @property
    def labels(self) -> Tensor:
        """(B,) classes; their number is the batch size."""

    def _asdict(self) -> dict[str, Tensor]:
        """All tensors by name."""


class Batches(Protocol):
    """A source of batches without memory: the batch of a step depends on the step alone."""

    def batch(self, step: int) -> Batch:
        """The batch of optimizer step ``step``."""


class Turn(NamedTuple):
    """One player's losses on one pass of a batch."""

    player: str
    terms: dict[str, Tensor]
    """Scalars by name, means over the pass. ``loss`` alone is differentiated, the rest is logged. ``indices`` (int64,
    any shape) may be there too: codes used, for the log and against collapse."""
    share: float = 1.0
    """How much of the process's batch the pass is; the player is updated when its shares of a step make up 1."""


def mean_terms(turns: Sequence[Turn]) -> dict[str, Tensor]:
    """One player's terms over all passes of a batch: means by share, and the indices of all."""
    if len(turns) == 1:
        return turns[0].terms
    names = turns[0].terms.keys() - {"indices"}
    means = {name: sum((turn.terms[name].detach() * turn.share for turn in turns), torch.zeros(())) for name in names}
    if "indices" in turns[0].terms:
        means["indices"] = torch.cat([turn.terms["indices"].flatten() for turn in turns])
    return means


class Task(nn.Module, ABC):
    """One training objective: a model, whoever plays against it, and their losses.

    A module, so that its parts move, switch mode and list their buffers together; it may be moved to its device until
    the first update. Subclasses set the attributes.
    """

    name: ClassVar[str]
    """As in the study's files: `stage1`, `generator`, ..."""
    model: nn.Module
    """What is trained and exported."""
    players: dict[str, Player]
    """Who learns, by name; ``model`` always."""
    config: dict[str, Any]
    """From which the exported model can be built again (goes into ``config.json``)."""
    start: Mapping[str, Any] | None = None
    """Of a training that begins at given weights: what was taken and what is new, for the manifest."""
    codebook_size: int | None = None
    """For tasks that yield ``indices``: how many codes there are."""

    shares: Shares
    """Which rows of the global batch this process works on, and in how many passes; the loop says."""

    def __init__(self) -> None:
        super().__init__()
        self.shares = Shares()

    def begins_anew(self, part: str) -> bool:
        """Whether a part of the model has its first weights by chance, and not from a file."""
        return self.start is None or part in self.start["new"]

    def with_draws(self, batch: Any, step: int, rng: torch.Generator) -> Any:
        """``batch`` with this process's random numbers of ``step``, where they need no model: a longer named tuple.

        Where batches are made ahead this is called by the thread that makes them, so that the numbers travel to the
        device with the batch. ``updates`` calls it for a batch that has none yet.
        """
        return batch

    @abstractmethod
    def updates(self, batch: Any, step: int, rng: torch.Generator) -> Iterator[Turn]:
        """Yields who learns from which terms, in order; the loop works backwards, and updates, after each yield.

        Later terms of a step may use earlier tensors, so a discriminator learns from the very reconstructions the model
        was just judged by.

        ``batch`` is this process's part of the global batch. ``rng`` (on the CPU) belongs to the step and is the same
        in all processes: all draws are made from it for the global batch (``shares.mine`` are the own ones) or, for
        dropout, from torch's global generators, which the loop seeds per step and process.
        """

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return next(self.model.parameters()).device

    def export(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """State dict and config of the trained model; the loop calls it with averaged weights in place."""
        return self.model.state_dict(), self.config

    def training_state(self) -> dict[str, Any]:
        """Everything that training changes: players with their moments, and buffers. Frozen weights are not in it."""
        return {
            "players": {name: player.state_dict() for name, player in self.players.items()},
            "buffers": dict(self.named_buffers()),
        }

    @torch.no_grad()
    def load_training_state(self, state: dict[str, Any]) -> None:
        """Restores what ``training_state`` gave, for a task built from the same settings."""
        for name, player in self.players.items():
            player.load_state_dict(state["players"][name])
        for name, buffer in self.named_buffers():
            buffer.copy_(state["buffers"][name])
