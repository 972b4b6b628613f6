"""Several shards, by this process or by some of its own, with progress."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import MutableSequence, Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from titok.data.plan import Plan, load_plan
from titok.data.shard_task import workspace, write_shard
from titok.data.sources.kinds import open_source
from titok.errors import MachineError
from titok.runtime.progress import Progress, progress

if sys.platform == "linux":  # Not a fork server, the newer default: workers watch their parent, this process.
    _CONTEXT = multiprocessing.get_context("fork")
else:  # Where forking is not safe.
    _CONTEXT = multiprocessing.get_context("spawn")
_POLL = 0.2
"""Seconds between two looks at the workers."""


def write_shards(output: Path, plan: Plan, numbers: Sequence[int], jobs: int = 1, *, images_done: int = 0) -> None:
    """Makes the shards ``numbers`` of a plan with up to ``jobs`` processes; ``images_done`` counts in the progress."""
    total = images_done + sum(len(plan.shard_rows(number)) for number in numbers)
    if min(jobs, len(numbers)) > 1:
        _write_side_by_side(output, plan.split, numbers, min(jobs, len(numbers)), total, images_done)
        return
    with progress(total, initial=images_done, desc=f"prepare {plan.split}", unit="image") as bar:
        images = open_source(plan)
        for number in numbers:
            write_shard(output, plan, number, images, bar.update)


def _write_side_by_side(
    output: Path, split: str, numbers: Sequence[int], jobs: int, total: int, images_done: int
) -> None:
    # One number each and no lock: a killed worker would hold it for ever.
    counts, errors = _CONTEXT.RawArray("q", jobs), _CONTEXT.SimpleQueue()
    shared = (counts, errors, os.getpid())
    workers = [
        _CONTEXT.Process(target=_work, args=(output, split, numbers[first::jobs], first, *shared))
        for first in range(jobs)
    ]
    try:
        for worker in workers:  # Before the progress bar, which may have a thread of its own.
            worker.start()
        with progress(total, initial=images_done, desc=f"prepare {split}", unit="image") as bar:
            shown = 0
            while any(worker.is_alive() for worker in workers) and not any(worker.exitcode for worker in workers):
                time.sleep(_POLL)
                shown += _advance(bar, sum(counts) - shown)
            _advance(bar, sum(counts) - shown)
        failed = [worker.exitcode for worker in workers if worker.exitcode]  # Before the others are ended for it.
    finally:
        _stop(workers)
    if not errors.empty():
        raise errors.get()
    if failed:
        raise MachineError(
            f"a process that made shards ended with status {failed[0]} (-9: perhaps for want of memory); "
            f"what is finished stays: run the step again, with fewer --jobs if that was it"
        )


def _advance(bar: Progress, count: int) -> int:
    bar.update(count)
    return count


def _stop(workers: Sequence[BaseProcess]) -> None:
    """Ends workers that still run, after an error or Ctrl-C."""
    for worker in workers:
        if worker.is_alive():
            worker.terminate()
    for worker in workers:
        if worker.pid is not None:
            worker.join()


def _work(
    output: Path,
    split: str,
    numbers: Sequence[int],
    worker: int,
    counts: MutableSequence[int],
    errors: SimpleQueue[Exception],
    parent: int,
) -> None:
    """What one process does. It ends when its parent was killed, so that nobody is left behind writing."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent hears Ctrl-C too, and ends its workers.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # An exit removes half a shard, a signal does not.

    def on_image() -> None:
        counts[worker] += 1
        if os.getppid() != parent:
            sys.exit(1)

    try:
        plan = load_plan(workspace(output), split)
        images = open_source(plan)
        for number in numbers:
            write_shard(output, plan, number, images, on_image)
    except Exception as error:
        errors.put(error)
        sys.exit(1)
