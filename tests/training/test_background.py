"""Copies of a state that is on a GPU: pinned, all at once, and complete."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from titok.training.background import copied_to_host


class Copies(TorchDispatchMode):
    """What is asked of the pages that copies go to, and of the copies."""

    def __init__(self) -> None:
        super().__init__()
        self.pinned: list[bool] = []
        self.in_passing: list[bool] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten.empty_like.default:
            self.pinned.append(bool(kwargs.get("pin_memory")))
        if func is torch.ops.aten.copy_.default:
            self.in_passing.append(args[2] if len(args) > 2 else bool(kwargs.get("non_blocking")))
        return func(*args, **kwargs)


def test_copies_from_a_gpu_go_to_pinned_pages_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU that torch only pretends to have."""
    waits: list[int] = []
    with FakeTensorMode():
        state = {"weights": [torch.empty(3, device="cuda"), torch.empty(2, device="cuda")], "step": 4}
        with Copies() as copies:
            monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
            monkeypatch.setattr(torch.cuda, "synchronize", lambda: waits.append(len(copies.in_passing)))
            found = copied_to_host(state)
            monkeypatch.undo()
    assert [(value.device.type, value.shape) for value in found["weights"]] == [("cpu", (3,)), ("cpu", (2,))]
    assert copies.pinned == [True, True]
    assert copies.in_passing == [True, True]
    assert waits == [2], "once, after the last copy"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_copy_from_a_gpu_is_complete_on_return() -> None:
    source = torch.arange(10_000_000, device="cuda")
    found = copied_to_host([source])[0]
    assert found.is_pinned()
    source.zero_()
    assert torch.equal(found, torch.arange(10_000_000))
