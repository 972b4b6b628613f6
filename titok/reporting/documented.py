"""Whether a run's numbers are those of a committed file, bit for bit: one sentence, and what it leaves out above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from titok.reporting.compare import relative
from titok.reporting.noise import COVERAGE, ENOUGH_SEEDS, next_seed
from titok.reporting.numbers import SUMS, Key, Run

_LISTED = 5
"""Numbers told one by one."""


@dataclass(frozen=True)
class Deviation:
    """A committed number that the run does not have, or has otherwise."""

    key: Key
    found: float | str | None
    """None: the run has no such number."""
    expected: float | str
    is_within: bool | None = None
    """Whether other seeds do the same; None where fewer than three are committed, and for sums."""

    @property
    def relative(self) -> float:
        """Size of the deviation, as a share of the larger number; 0 for sums."""
        if isinstance(self.found, str) or isinstance(self.expected, str) or self.found is None:
            return 0.0
        return relative(self.found, self.expected)


def documented_lines(run: Run, committed: Run) -> list[str]:
    """Lines to print; the last one is the sentence, those before it the largest deviations and why they may be."""
    expected, whose = len(committed.numbers), _name(committed)
    deviations = _deviations(run, committed)
    if not deviations:
        return [f"all {expected} numbers are those of {whose}, bit for bit"]
    missing = sum(one.found is None for one in deviations)
    if missing == len(deviations) < expected:
        made = f"all {expected - missing} numbers that were made are those of {whose}, bit for bit"
        return [*_excerpt(run, deviations), f"{made}; {missing} of its {expected} were not made"]
    lines = [*_excerpt(run, deviations), *_excuse(run, committed)]
    return [*lines, f"{len(deviations)} of {expected} numbers are not those of {whose}: {_summary(deviations)}"]


def _excerpt(run: Run, deviations: Sequence[Deviation]) -> list[str]:
    """The largest deviations, one by one."""
    largest = sorted(deviations, key=lambda one: (-one.relative, one.found is not None, one.key))
    lines = [_line(run, one) for one in largest[:_LISTED]]
    return [*lines, f"  and {len(deviations) - _LISTED} more"] if len(deviations) > _LISTED else lines


def _deviations(run: Run, committed: Run) -> list[Deviation]:
    found = []
    for key, number in committed.numbers.items():
        own = run.numbers.get(key)
        if own is None:
            found.append(Deviation(key, None, number.value))
        elif own.value != number.value:
            found.append(Deviation(key, own.value, number.value, _within(key, own.value, committed)))
    return found


def _within(key: Key, value: float | str, committed: Run) -> bool | None:
    """Whether the value lies where one more seed would, by the committed seeds."""
    seeds = [other.value for found, other in committed.numbers.items() if (found.what, found.metric) == key[::2]]
    values = [float(seed) for seed in seeds if not isinstance(seed, str)]
    if isinstance(value, str) or len(values) < ENOUGH_SEEDS:
        return None
    low, high = next_seed(values)
    return low <= value <= high if low < high or value == low else None  # seeds that are all alike show no spread


def _summary(deviations: Sequence[Deviation]) -> str:
    """What is missing, how far the others are off, and whether seeds do that."""
    missing = sum(one.found is None for one in deviations)
    sums = sum(one.found is not None and one.key.metric in SUMS for one in deviations)
    values = [one for one in deviations if one.found is not None and one.key.metric not in SUMS]
    parts = [f"{missing} are missing"] if missing else []
    parts += [f"{sums} of weights, samples or tokens have other bits"] if sums else []
    if values:
        judged = [one.is_within for one in values if one.is_within is not None]
        beyond = judged.count(False)
        parts.append(f"largest relative difference {max(one.relative for one in values):.2g}")
        if beyond:
            parts.append(f"{beyond} of {len(judged)} beyond what other seeds do")
        elif judged:
            parts.append(f"{'all ' if len(judged) > 1 else ''}{len(judged)} within what other seeds do")
        if unjudged := len(values) - len(judged):
            parts.append(f"{unjudged} without the seeds to tell")
    return ", ".join(parts)


def _line(run: Run, one: Deviation) -> str:
    what = f"  {run.label(one.key.metric)} of {one.key.what}, seed {one.key.seed}:"
    if one.found is None:
        return f"{what} missing"
    if isinstance(one.found, str):
        return f"{what} {one.found[:12]} instead of {str(one.expected)[:12]}"
    verdicts = {None: "", True: ", as other seeds do", False: ", beyond what other seeds do"}
    return f"{what} {one.found:.6g} instead of {one.expected:.6g} ({one.relative:.2g}{verdicts[one.is_within]})"


def _excuse(run: Run, committed: Run) -> list[str]:
    """Why bits may differ: the arithmetic, the processor's kind, or torch."""
    reasons = [
        f"arithmetic is native in {other.name}"
        for other in (run, committed)
        if _of(other, "arithmetic") != ["portable"]
    ]
    strange = [kind for kind in _of(run, "architecture") if kind.lower() not in ("x86_64", "amd64")]
    reasons += [f"{run.name} was made on {kind}, not on x86-64 with AVX2" for kind in strange]
    reasons += [
        f"{key} is {', '.join(_of(run, key))}, and was {', '.join(_of(committed, key))}"
        for key in ("torch", "device")
        if _of(run, key) != _of(committed, key)
    ]
    return [
        f"  numbers may differ: {'; '.join(reasons)}" if reasons else "  nothing that is known excuses it",
        f"  what other seeds do: where one more seed lies {COVERAGE:.0%} of the time, by the committed ones",
    ]


def _of(run: Run, key: str) -> list[str]:
    return list(run.environment.get(key, ["native" if key == "arithmetic" else "unknown"]))


def _name(committed: Run) -> str:
    """A file below ``docs`` is the documentation's."""
    return "the documentation" if "docs" in Path(committed.name).parts else committed.name
