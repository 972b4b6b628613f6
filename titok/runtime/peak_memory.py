"""The most memory that a piece of work takes at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

RESET, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
"""Linux's own marks of a process: writing 5 to the first sets the highest mark of resident memory to what it is now."""


def peak_memory(work: Callable[[], object], device: torch.device) -> tuple[int, str] | None:
    """Bytes that ``work`` adds at its peak to what was there before, and how they were counted.

    On a GPU torch's allocator counts; on a CPU Linux does, by resident pages, where ``work`` must be the first of its
    kind in the process: blocks that an earlier one freed are taken again. None where nobody counts.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before, "allocated by torch on the device"
    if device.type != "cpu" or not _reset():
        return None
    before = _marked("VmRSS")
    work()
    return max(_marked("VmHWM") - before, 0), "resident pages of the process"


def _reset() -> bool:
    try:
        RESET.write_text("5")
    except OSError:
        return False
    return True


def _marked(name: str) -> int:
    """Bytes."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
