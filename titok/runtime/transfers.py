"""Tensors on their way between the host's memory and a GPU's, through pinned pages: nobody waits, and copies are fast.

From ordinary pages ``non_blocking`` has no effect: the host waits until the bytes have passed through a small buffer.
"""

from __future__ import annotations

import torch
from torch import Tensor

_PINNED = {"cuda"}
"""Types of devices that copy from pinned pages."""


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """``tensor`` on ``device``, later work there coming after the copy; unchanged where it is there already."""
    if device.type in _PINNED and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()  # kept by torch until the copy is done
    return tensor.to(device, non_blocking=True)
