"""Several processes that train one model: who is who, and what they tell each other.

``torchrun`` starts them and says by environment variables who they are. Everything here works for a process alone, too,
and then returns what it was given, so that no caller has to ask.
"""

from __future__ import annotations

import ctypes
import datetime
import os
import platform
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from titok.errors import MachineError
from titok.runtime.device import automatic_device, unusable_gpus

Plain = TypeVar("Plain")

TIMEOUT_SECONDS = 600.0
"""How long processes wait for one that says nothing before they give up."""
MILESTONE_SECONDS = 7200.0
"""The same where they wait for the first one to score thousands of images, or for a machine that copies a dataset."""


_PR_SET_PDEATHSIG = 1
"""Linux's number for the request to be sent a signal when the parent ends."""


_CONNECTION = ("connection closed", "connection reset", "connection refused", "timed out", "timeout")


@dataclass(frozen=True)
class Place:
    """Which of the processes this one is."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes: checkpoints, logs, models."""
        return self.rank == 0


def place() -> Place:
    """This process's place in the job; alone, it is the only one."""
    return Place(dist.get_rank(), dist.get_world_size()) if _joined() else Place()


@contextmanager
def joined(device: str = "auto", *, timeout_seconds: float = TIMEOUT_SECONDS) -> Iterator[str]:
    """Joins the job that ``torchrun`` started, if it did, while the block lasts; yields the device to work on.

    Tensors on GPUs travel by NCCL, others by Gloo. Each process of a machine gets its own GPU.

    Raises:
        MachineError: too few GPUs, a half-set environment, or (from within the block) a process that is gone or silent.
    """
    if "RANK" not in os.environ and "WORLD_SIZE" not in os.environ:
        yield device
        return
    own = _own_device(device)
    _stop_with_the_launcher()
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if own.startswith("cuda") else "gloo",
            timeout=datetime.timedelta(seconds=timeout_seconds),
        )
    except (ValueError, RuntimeError) as error:
        raise MachineError(f"the processes did not find each other ({error}); start them with torchrun") from error
    try:
        yield own
    except SystemExit:  # stopped together, on purpose
        dist.destroy_process_group()
        raise
    except RuntimeError as error:
        if not _is_lost_contact(error):
            raise
        here = place()
        raise MachineError(
            f"process {here.rank} of {here.world_size} lost contact with another one: it died, was stopped, or said "
            f"nothing for {timeout_seconds:g} s; its own last lines say why. The same command goes on from the last "
            f"checkpoint ({error})"
        ) from error
    dist.destroy_process_group()


def _own_device(device: str) -> str:
    """``cuda:<local rank>`` where GPUs are wanted and there, else the CPU."""
    try:
        local_rank = int(os.environ["LOCAL_RANK"])
    except (KeyError, ValueError) as error:
        raise MachineError(
            f"RANK or WORLD_SIZE is set, but LOCAL_RANK is {os.environ.get('LOCAL_RANK')!r}; start several processes "
            f"with torchrun, or unset these variables for a single one"
        ) from error
    if device == "auto":
        device = automatic_device()
    if device != "cuda":
        return device
    if local_rank >= torch.cuda.device_count():
        raise MachineError(
            f"process {local_rank} of this machine has no GPU: torch sees {torch.cuda.device_count()} "
            f"({unusable_gpus()}); start at most that many processes (--nproc-per-node), or say --device cpu"
        )
    torch.cuda.set_device(local_rank)
    return f"cuda:{local_rank}"


def _stop_with_the_launcher() -> None:
    """Asks Linux for a SIGTERM when torchrun dies, however it does: nobody could stop this process afterwards.

    A training then saves and leaves. Elsewhere (nobody trains by several processes there) nothing is asked.
    """
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()


def _is_lost_contact(error: RuntimeError) -> bool:
    """Whether an error comes from talking to other processes; Gloo's, and some of NCCL's, are plain RuntimeErrors."""
    words = ("gloo", "nccl", "communicator", "collective operation", *_CONNECTION)
    return isinstance(error, dist.DistError) or any(word in str(error).lower() for word in words)


def total(tensor: Tensor) -> Tensor:
    """Sums ``tensor`` over all processes, in place; returns it."""
    if _joined():
        dist.all_reduce(tensor)
    return tensor


def mean(tensor: Tensor) -> Tensor:
    """Averages ``tensor`` over all processes, in place; returns it."""
    return total(tensor).div_(dist.get_world_size()) if _joined() else tensor


def smallest(tensor: Tensor) -> Tensor:
    """The smallest of every element over all processes, in place; returns it."""
    if _joined():
        dist.all_reduce(tensor, op=dist.ReduceOp.MIN)
    return tensor


def gathered(rows: Tensor) -> Tensor:
    """The rows of all processes in rank order; every process has the same number."""
    if not _joined():
        return rows
    parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def from_first(value: Plain) -> Plain:
    """The first process's ``value`` (small, plain data), everywhere."""
    if not _joined():
        return value
    box: list[Any] = [value]
    dist.broadcast_object_list(box, src=0)
    result: Plain = box[0]
    return result


class Agreement:
    """What all processes do after the same step, although each has its own clock and gets its own signals.

    The numbers travel while the next step is computed and hold after it, so nobody waits for anybody. Alone, they hold
    at once.
    """

    def __init__(self) -> None:
        self._on_their_way: tuple[Tensor, dist.Work | None] | None = None

    def settle(self, *numbers: int) -> tuple[int, ...]:
        """The largest of each number over all processes; with several, of those of the call before (at first, 0)."""
        if not _joined():
            return numbers
        settled = self.finish()
        ours = torch.tensor(numbers)
        self._on_their_way = (ours, dist.all_reduce(ours, op=dist.ReduceOp.MAX, async_op=True))
        return settled or (0,) * len(numbers)

    def finish(self) -> tuple[int, ...] | None:
        """What is still on its way, if anything."""
        if self._on_their_way is None:
            return None
        numbers, work = self._on_their_way
        if work is not None:
            work.wait()
        self._on_their_way = None
        return tuple(numbers.tolist())
