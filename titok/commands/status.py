"""``titok status``: what of a study is done, what runs and for how long, what is next; without torch."""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from titok.config.owner import OwnerError, owner_of
from titok.planning.graph import Graph, Job, finish, start_snakemake
from titok.planning.live import LiveJob, TrainingProgress, live_jobs

SHOWN = 12
"""Jobs that are named one by one."""
QUICK = "write_config"
"""What takes no time and is not worth a line."""

HOW = (
    "Done is what Snakemake would not do again (snakemake -n). A training runs if its owner.lock is held, or, where "
    "locks do not reach this machine, if its log is young; any other job, if its log is less than two minutes old."
)


def status(options: argparse.Namespace) -> None:
    """Prints how far the study of a results folder is."""
    # Links stay as they are: the project is where `results` is seen, wherever its disk may be.
    results = Path(os.path.abspath(options.results))
    study_file, folder = Path(owner_of(results)), results.parent.parent
    if not (folder / study_file).exists():
        raise OwnerError(
            f"{results} holds results of the study file {study_file}, which is not in {folder}; name the folder "
            f"as it lies in the project (results/<study>), or edit {results / 'study.json'} if the file was renamed"
        )
    # Both ask the same Snakefile, side by side: all jobs of the study, and those that are left.
    processes = [start_snakemake(study_file, [options.target], folder=folder, remaining=left) for left in (False, True)]
    everything, remaining = (finish(process) for process in processes)
    print("\n".join(report(everything, live_jobs(remaining, folder), time.time())))


def report(everything: Graph, jobs: list[LiveJob], now: float) -> Iterator[str]:
    """The lines of the page; ``jobs`` are those that are not done."""
    counts = Counter(job.state for job in jobs)
    parts = [f"{len(everything.jobs) - len(jobs)} of {len(everything.jobs)} jobs done"]
    parts += [f"{counts[state]} {state}" for state in ("running", "stopped", "next", "later") if counts[state]]
    yield ", ".join(parts)
    by_state: dict[str, list[LiveJob]] = {}
    for job in jobs:
        by_state.setdefault(job.state, []).append(job)
    for state in ("running", "stopped"):
        if found := by_state.get(state):
            yield f"\n{state}"
            yield from (f"  {line}" for job in found for line in _active(job, now))
    if found := by_state.get("next"):
        found.sort(key=lambda job: job.job.rule == QUICK)
        named = [job for job in found if job.job.rule != QUICK][:SHOWN]
        yield "\nnext"
        yield from (f"  {name_of(job.job)}" for job in named)
        if others := found[len(named) :]:
            yield f"  {'and ' if named else ''}{_counted(job.job for job in others)}"
    if found := by_state.get("later"):
        yield f"\nlater: {_counted(job.job for job in found)}"
    yield f"\n{HOW}"


def name_of(job: Job) -> str:
    """A job as people call it: its rule and its wildcards, without the study's."""
    values = (
        f"{name} {value}" if name == "seed" else value for name, value in job.wildcards.items() if name != "study"
    )
    return " ".join([job.rule, *values])


def _active(job: LiveJob, now: float) -> Iterator[str]:
    if job.training is None:
        yield f"{name_of(job.job)}: its log was written {duration(job.log_age or 0)} ago"
        return
    training = job.training
    parts = [f"step {training.step:,} of {training.steps:,} ({100 * training.step // training.steps} %)"]
    if training.images_per_second is not None and job.state == "running":
        parts.append(f"{training.images_per_second:,.0f} images/s")
    if training.seconds_left is not None:
        left = duration(training.seconds_left)
        parts.append(
            f"{left} left, until {_clock(now + training.seconds_left)}" if job.state == "running" else f"{left} left"
        )
    yield f"{name_of(job.job)}: {', '.join(parts)}"
    yield f"    {_how(training)}; last line of its log {duration(training.age)} ago"


def _how(training: TrainingProgress) -> str:
    """How it is known that a training runs or has stopped."""
    if training.holder is not None:
        return f"lock held by {training.holder}"
    if training.is_running:
        return f"young log of {training.last}, whose lock cannot be seen from here"
    where = f"step {training.checkpoint:,}" if training.checkpoint is not None else "the beginning"
    return f"nobody holds its lock; goes on from {where}"


def duration(seconds: float) -> str:
    """The two largest units of a time: `3 d 4 h`, `12 min 5 s`, `8 s`."""
    rest, parts = round(seconds), []
    for name, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {name}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def _clock(moment: float) -> str:
    """Local time, with the day when it is not today's."""
    local, today = time.localtime(moment), time.localtime()
    return time.strftime("%H:%M" if local[:3] == today[:3] else "%a %d %b %H:%M", local)


def _counted(jobs: Iterable[Job]) -> str:
    return ", ".join(f"{count} {rule}" for rule, count in Counter(job.rule for job in jobs).items())
