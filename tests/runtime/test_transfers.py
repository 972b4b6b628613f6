"""Copies to a GPU: through pinned pages, and none that the host waits for.

The meta device stands in for the GPU. It has no numbers, so whatever would make the host wait for one fails.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from training.tiny import TASKS, build

from titok.models.flops import _NoAutocast
from titok.runtime import transfers
from titok.runtime.seed import generator
from titok.runtime.transfers import sent

CPU, GPU = torch.device("cpu"), torch.device("meta")


class Copies(TorchDispatchMode):
    """Copies from the host to the device: (whether the source was pinned, whether the host goes on meanwhile)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.seen: list[tuple[bool, bool]] = []
        pinned: list[Tensor] = []

        def pin(tensor: Tensor) -> Tensor:
            pinned.append(tensor)
            return tensor

        self._pinned = pinned
        monkeypatch.setattr(Tensor, "pin_memory", pin)
        monkeypatch.setattr(transfers, "_PINNED", {GPU.type})

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is torch.ops.aten._to_copy.default and (args[0].device, result.device) == (CPU, GPU):
            pinned = any(args[0] is tensor for tensor in self._pinned)
            self.seen.append((pinned, bool(kwargs.get("non_blocking"))))
        return result


def test_copies_are_pinned_and_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    with Copies(monkeypatch) as copies:
        moved = sent(torch.ones(3), GPU)
        assert sent(moved, GPU) is moved
    assert copies.seen == [(True, True)]
    tensor = torch.ones(3)
    assert sent(tensor, CPU) is tensor


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_steady_step_waits_for_no_copy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Copies nothing of a batch that was made ahead, and pins what it copies of one that was not."""
    task, batches, _ = build(name)
    task.to(GPU)
    monkeypatch.setattr(torch, "autocast", _NoAutocast)  # which the meta device does not have
    for ahead in (True, False):
        with Copies(monkeypatch) as copies:
            batch = batches.batch(6)
            if ahead:
                drawn = task.with_draws(batch, 6, generator(0, "step", 6))
                batch = type(drawn)(*(sent(part, GPU) for part in drawn))
            before = len(copies.seen)
            for turn in task.updates(batch, 6, generator(0, "step", 6)):
                turn.terms["loss"].backward()
        assert set(copies.seen) == {(True, True)}
        assert len(copies.seen) == before or not ahead
