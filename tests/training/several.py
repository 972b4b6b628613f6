"""Runs a function in several processes that know each other, as ``torchrun`` would; forked, they start at once."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from titok.runtime.processes import joined


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def in_processes(
    world_size: int,
    work: Callable[[], None],
    logs: Path | None = None,
    *,
    timeout_seconds: float = 30.0,
    patience: float = 120.0,
) -> list[int | None]:
    """Exit codes of ``world_size`` processes that did ``work`` together, in rank order; stderr goes to ``logs``.

    Whoever is not done after ``patience`` seconds is killed.
    """
    context = multiprocessing.get_context("fork")
    port = free_port()
    started = [
        context.Process(target=_work, args=(work, rank, world_size, port, logs, timeout_seconds))
        for rank in range(world_size)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(patience)
        if process.is_alive():
            process.kill()
            process.join()
    return [process.exitcode for process in started]


def _work(
    work: Callable[[], None], rank: int, world_size: int, port: int, logs: Path | None, timeout_seconds: float
) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world_size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    if logs is not None:
        sys.stderr = (logs / f"rank{rank}.log").open("w", buffering=1)
    with joined("cpu", timeout_seconds=timeout_seconds):
        work()
