"""Backward passes: averaged over processes, and scaled where half precision would lose small gradients."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

LARGEST_LOSS_SCALE = 2.0**32
"""Far above what float16 bears, and small enough that sums of scales and scaled losses stay finite. A scale without a
limit doubles every 2,000 good steps, past float32's range after 222,000 steps that meet no float16."""


class Gradients:
    """Backward passes for ``parameters``, their gradients averaged over all processes.

    ``DistributedDataParallel`` does it, while the pass goes on. Tasks call parts of their models and not one forward
    method, so what it wraps is the parameters and, for a forward pass, the finished loss.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = parameters
        self._parallel: DistributedDataParallel | None = None

    def join(self) -> None:
        """Call where several processes train, with the parameters on their device and before any forward pass."""
        self._parallel = DistributedDataParallel(_Owner(self._parameters), gradient_as_bucket_view=True)

    def backward(self, loss: Tensor, *, average: bool) -> None:
        """Adds gradients; ``average`` with the last pass of a batch, and only then."""
        if self._parallel is None:
            loss.backward()
            return
        with contextlib.nullcontext() if average else self._parallel.no_sync():
            cast(Tensor, self._parallel(loss)).backward()


class _Owner(nn.Module):
    """Owns parameters and passes losses through."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        super().__init__()
        self.owned = nn.ParameterList(parameters)

    def forward(self, loss: Tensor) -> Tensor:
        return loss


class LossScaler:
    """Keeps float16's small gradients from vanishing, by torch's ``GradScaler``; switched off it does nothing.

    Players that learn from one another's tensors share one, as in the released code: each one's step updates it.
    """

    def __init__(self, is_on: bool) -> None:
        self.is_on = is_on
        self._scaler: torch.amp.GradScaler | None = None
        self._loaded: dict[str, Any] = {}

    @property
    def scale(self) -> Tensor | None:
        """The present scale, on the device; None if switched off or not yet used."""
        return None if self._scaler is None else cast(Tensor, self._scaler._scale).clone()

    def scaled(self, loss: Tensor) -> Tensor:
        """``loss`` times the scale."""
        if not self.is_on:
            return loss
        if self._scaler is None:
            self._scaler = torch.amp.GradScaler(loss.device.type)
            self._scaler.load_state_dict(self._loaded or self._scaler.state_dict())
        return self._scaler.scale(loss)

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Divides the gradients that ``optimizer`` owns by the scale; notes whether any is not finite."""
        if self._scaler is not None:
            self._scaler.unscale_(optimizer)

    def update(self) -> None:
        """After each step: a lower scale if a gradient was not finite, a higher one after many good steps."""
        if self._scaler is not None:
            self._scaler.update()
            cast(Tensor, self._scaler._scale).clamp_(max=LARGEST_LOSS_SCALE)

    def state_dict(self) -> dict[str, Any]:
        """Scale and number of good steps."""
        return self._loaded if self._scaler is None else self._scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what ``state_dict`` gave."""
        self._loaded = dict(state)
        if self._scaler is not None and state:
            self._scaler.load_state_dict(state)
