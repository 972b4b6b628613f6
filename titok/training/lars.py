"""LARS (You, Gitman and Ginsburg 2017): updates whose length is a share of the weights', whatever the gradient's.

As linear probes use it (He et al. 2022, appendix A.1): matrices only; vectors, such as biases, follow plain momentum.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class Lars(torch.optim.Optimizer):
    """Momentum SGD with a learning rate per matrix. A ``found_inf`` of 1 (on the device) leaves everything as it is."""

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
