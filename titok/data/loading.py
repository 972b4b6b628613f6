"""The one way to read many samples in order, here or in worker processes.

A pass is a list of batches of requests (mostly numbers of samples) and a function that reads one of them. PyTorch's
DataLoader does the rest: worker processes, a bounded number of batches ahead, results in the order asked for. The
numbers that come out do not depend on how many workers there are, and no global random state is touched.
"""

from __future__ import annotations

import itertools
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch.multiprocessing.reductions import shared_cache
from torch.utils.data import DataLoader, Dataset, default_collate

from titok.data.shard_index import ShardError
from titok.errors import MachineError
from titok.runtime.signals import STOPPING

Request = TypeVar("Request")
AHEAD = 2
"""Batches that each worker may have ready or in work before they are asked for."""


def batches_of(requests: Sequence[Request], batch_size: int) -> Iterator[Sequence[Request]]:
    """Consecutive slices of ``batch_size`` requests (a ``range`` of samples, for instance); the last may be shorter."""
    for start in range(0, len(requests), batch_size):
        yield requests[start : start + batch_size]


def in_order(
    read: Callable[[Request], Any],
    batches: Iterable[Sequence[Request]],
    *,
    workers: int = 0,
    name: Callable[[Request], str] = "sample {}".format,
) -> Iterator[Any]:
    """Reads batch after batch: for each, the results of ``read`` stacked into tensors with a leading B.

    ``read`` returns a tensor, a number, or a named tuple of them, of equal shapes for all requests; it runs in one of
    ``workers`` processes (0: in this one), forked where the system can, so what it needs is not copied. ``batches`` may
    be endless and is drawn from as batches are asked for, at most ``AHEAD`` per worker too early. Workers end with the
    iterator: when it is exhausted, closed or dropped, or this process dies.

    Raises:
        ShardError: as ``read`` raised it, or naming the request by ``name``, where it failed in another way.
        MachineError: ``workers`` is negative, or a worker died (out of memory, killed).
    """
    if workers < 0:
        raise MachineError(f"workers is {workers}; allowed: 0 (read in this process) or more")
    return _results(_loader(_Reading(read, name), batches, workers))


class ReadAhead(Generic[Request]):
    """Batches by step: those of consecutive steps are read ahead by the workers, any other step starts them anew."""

    def __init__(
        self,
        read: Callable[[Request], Any],
        requests: Callable[[int], Sequence[Request]],
        *,
        workers: int = 0,
        name: Callable[[Request], str] = "sample {}".format,
    ) -> None:
        """``requests``: step to what makes up its batch; the rest as for ``in_order``."""
        self._read = read
        self._requests = requests
        self._workers = workers
        self._name = name
        self._stream: Iterator[Any] = iter(())
        self._next_step: int | None = None

    def at(self, step: int) -> Any:
        """The batch of ``step`` (from 0)."""
        if step != self._next_step:
            self.close()
            batches = map(self._requests, itertools.count(step))
            self._stream = in_order(self._read, batches, workers=self._workers, name=self._name)
        self._next_step = None  # in case reading fails
        result = next(self._stream)
        self._next_step = step + 1
        return result

    def close(self) -> None:
        """Ends the workers; the next batch starts them again."""
        self._stream, self._next_step = iter(()), None


class _Failure(NamedTuple):
    """An error on its way out of a worker, as text: not every exception survives pickling."""

    named: bool
    message: str
    trace: str


class _Reading(Dataset[Any], Generic[Request]):
    """A dataset whose items are whole batches."""

    def __init__(self, read: Callable[[Request], Any], name: Callable[[Request], str]) -> None:
        self._read = read
        self._name = name

    def __getitem__(self, requests: Sequence[Request]) -> Any:
        results = []
        for request in requests:
            try:
                results.append(self._read(request))
            except ShardError as error:
                return _Failure(True, str(error), "")
            except Exception as error:
                message = f"{self._name(request)}: {type(error).__name__}: {error}"
                return _Failure(False, message, traceback.format_exc())
        return default_collate(results)


def _loader(reading: _Reading[Request], batches: Iterable[Sequence[Request]], workers: int) -> DataLoader[Any]:
    return DataLoader(
        reading,
        batch_size=None,
        sampler=batches,
        num_workers=workers,
        collate_fn=_as_it_is,
        prefetch_factor=AHEAD if workers else None,
        multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
        worker_init_fn=_ignore_signals,
        # Otherwise it draws a seed from torch's global generator, and dropout would depend on when reading began.
        generator=torch.Generator(),
    )


def _results(loader: DataLoader[Any]) -> Iterator[Any]:
    try:
        for result in _started(loader):
            if isinstance(result, _Failure):
                raise _error_of(result)
            yield result
            # Torch keeps notes of the last 128 tensors that workers sent, of a hundred bytes each. They come to lie
            # between the batches in memory, so that no freed place is large enough again: 3 GB at 25 MB a batch.
            shared_cache.free_dead_references()
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise MachineError(
            f"a worker process that reads images is gone ({error}); the usual reasons are too little memory or a small "
            f"/dev/shm: use fewer workers, smaller batches, or --workers 0"
        ) from error


def _started(loader: DataLoader[Any]) -> Iterator[Any]:
    """The loader's iterator with its workers started.

    Torch installs a signal handler that raises wherever the main thread happens to be when a worker dies, in the middle
    of a training step for instance. It is taken back: who waits for a batch is told within seconds without it.
    """
    if threading.current_thread() is not threading.main_thread():
        return iter(loader)
    before = signal.getsignal(signal.SIGCHLD)
    iterator = iter(loader)
    signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)
    return iterator


def _error_of(failure: _Failure) -> ShardError:
    if failure.named:
        return ShardError(failure.message)
    error = ShardError(failure.message)
    error.add_note(failure.trace)
    return error


def _as_it_is(batch: Any) -> Any:
    """Batches are collated where they are read, so that tensors travel in shared memory."""
    return batch


def _ignore_signals(worker: int) -> None:
    """Who stops a job signals all its processes; the main one decides when to end, and its workers end with it."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
