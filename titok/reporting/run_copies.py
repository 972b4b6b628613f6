"""Copies among a run's seeds, by sums of weights and samples: one repetition, as in `titok.reporting.copies`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from titok.reporting.numbers import Run, What

_SCORED = {"tokenizer": ("reconstruction", "lengths"), "samples": ("generation",)}
"""Kind of what a seed made -> the kinds of the scores of it."""
_GIVEN = "released"
"""Stage of weights that are the same for all seeds by intent."""


def without_copies(run: Run) -> Run:
    """The run without the scores of copies; their sums stay."""
    copied = {(what, seed) for what, seed, _ in _copies(run)}
    return replace(run, numbers={key: number for key, number in run.numbers.items() if key[:2] not in copied})


def copies_told(run: Run) -> str:
    """Whose scores are left out; nothing where there are none."""
    told = [f"seed {seed} of {what} has the bits of seed {first}" for what, seed, first in _copies(run)]
    return "; ".join(told)


def _copies(run: Run) -> Iterator[tuple[What, int, int]]:
    """Scores of a seed that made what a lower one had made: what was scored, the seed, the lower one."""
    scored = {key[:2] for key in run.numbers}
    first: dict[tuple[What, str], int] = {}
    for key in sorted(run.numbers):
        if key.what.kind not in _SCORED or key.what.stage == _GIVEN:
            continue
        earlier = first.setdefault((key.what, str(run.numbers[key].value)), key.seed)
        whats = [key.what._replace(kind=kind) for kind in _SCORED[key.what.kind]]
        yield from ((what, key.seed, earlier) for what in whats if earlier != key.seed and (what, key.seed) in scored)
