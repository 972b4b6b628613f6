"""Exponential moving average of weights, kept by name (specification 8.4).

The averaged weights are what is evaluated and exported. Frozen parameters and buffers need no average: whoever reads
the model reads them as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def decay_of_update(number: int, decay: float) -> float:
    """Decay of update ``number`` = 1, 2, ...: 0 for the first, then k / (k + 9) until it reaches ``decay``.

    The ramp lets early averages forget the random start.
    """
    return 0.0 if number <= 1 else min(decay, number / (number + 9))


class Ema:
    """Shadow copies of ``parameters``; a ``decay`` of None keeps none and leaves the raw weights in charge.

    Without ``ramp`` the decay is the same from the first update on. Before every ``restart_steps``-th update the
    average begins again at the raw weights.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        decay: float | None,
        *,
        ramp: bool = True,
        restart_steps: int | None = None,
    ) -> None:
        self.decay = decay
        self.ramp = ramp
        self.restart_steps = restart_steps
        self.num_updates = 0
        self._parameters = dict(parameters) if decay is not None else {}
        self.shadow: dict[str, Tensor] = {name: value.detach().clone() for name, value in self._parameters.items()}
        # Parameters and shadows never change their storage outside `averaged`, so the lists are built once.
        self._values = [value.detach() for value in self._parameters.values()]
        self._shadows = list(self.shadow.values())

    @torch.no_grad()
    def begin_step(self) -> None:
        """Begins the average again at the present weights, where that is due; call before each step's updates."""
        if self.decay is not None and self.restart_steps is not None and self.num_updates % self.restart_steps == 0:
            torch._foreach_copy_(self._shadows, self._values)

    @torch.no_grad()
    def update(self) -> None:
        """Moves every shadow towards its parameter; call once after each step's optimizer updates."""
        if self.decay is None:
            return
        self.num_updates += 1
        decay = decay_of_update(self.num_updates, self.decay) if self.ramp else self.decay
        torch._foreach_lerp_(self._shadows, self._values, 1.0 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside the block the model computes and exports with averaged weights; nothing is copied."""
        raw = {name: parameter.data for name, parameter in self._parameters.items()}
        try:
            for name, parameter in self._parameters.items():
                parameter.data = self.shadow[name]
            yield
        finally:
            for name, parameter in self._parameters.items():
                parameter.data = raw[name]

    def state_dict(self) -> dict[str, Any]:
        """The number of updates and the shadows."""
        return {"num_updates": self.num_updates, "shadow": dict(self.shadow)}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` gave, for the same parameters."""
        self.num_updates = state["num_updates"]
        for name, shadow in self.shadow.items():
            shadow.copy_(state["shadow"][name])
