"""The next batch is read, given its random numbers and copied to the device while the present one is worked on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

from titok.runtime.transfers import sent
from titok.training.task import Batch, Batches

Complete = Callable[[Any, int], Any]
"""(batch, step) -> the batch as it goes to the device."""


def ready_batches(
    batches: Batches, device: torch.device, num_steps: int, complete: Complete
) -> contextlib.AbstractContextManager[Batches]:
    """``batches`` as the loop wants them: on a GPU one ahead, on a CPU as they are, for there is nothing to copy."""
    if device.type == "cpu":
        return contextlib.nullcontext(batches)
    return ReadyBatches(batches, device, num_steps, complete)


class ReadyBatches:
    """Batches on ``device``, of which the one after the last asked for is made by a thread of its own.

    Steps from ``num_steps`` on are not made ahead. A context manager, which ends the thread.
    """

    def __init__(self, batches: Batches, device: torch.device, num_steps: int, complete: Complete) -> None:
        self._batches = batches
        self._complete = complete
        self._device = device
        self._num_steps = num_steps
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._ahead: tuple[int, Future[tuple[Any, torch.Event | None]]] | None = None

    def __enter__(self) -> ReadyBatches:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def batch(self, step: int) -> Batch:
        """The batch of ``step``; errors of the source are raised here, when their batch is asked for."""
        step_ahead, future = self._ahead or (None, None)
        self._ahead = None
        if future is None or step_ahead != step:
            future = self._thread.submit(self._load, step)
        batch, copied = future.result()
        if step + 1 < self._num_steps:
            self._ahead = step + 1, self._thread.submit(self._load, step + 1)
        if copied is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(copied)
            for part in batch:
                part.record_stream(current)  # its memory belongs to the copying stream, which must not reuse it yet
        return batch

    def _load(self, step: int) -> tuple[Any, torch.Event | None]:
        batch = self._complete(self._batches.batch(step), step)
        with torch.cuda.stream(self._stream) if self._stream is not None else contextlib.nullcontext():
            moved = type(batch)(*(sent(part, self._device) for part in batch))
        return moved, None if self._stream is None else self._stream.record_event()
