"""Seconds of calls."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.benchmark import Timer

Work = Callable[[], object]

PRECISIONS: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}

LONG_SECONDS = 30.0
"""After so long, two calls are enough."""


def timings(work: Work, repeats: int, seconds: float) -> list[float]:
    """Seconds of single calls, ``repeats`` of them, or more until ``seconds`` are over.

    Long calls are timed twice only: they average over a machine's moods by themselves. torch's timer waits
    for the device and keeps the garbage collector out.
    """
    timer = Timer("work()", globals={"work": work}, num_threads=torch.get_num_threads())
    times: list[float] = []
    while len(times) < repeats or sum(times) < seconds:
        times.append(timer.timeit(1).mean)
        if sum(times) > LONG_SECONDS and len(times) >= 2:
            break
    return times


def alternating(first: Work, second: Work, repeats: int) -> tuple[list[float], list[float]]:
    """Both timed in turns, so that a busy moment of the machine hits both; each is warmed up once."""
    first(), second()
    pairs = [(timings(first, 1, 0)[0], timings(second, 1, 0)[0]) for _ in range(repeats)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
