"""What stands below a table: the order of its rows, why numbers are not judged, what brackets mean, how many seeds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Protocol

from titok.reporting.collect import Statistic
from titok.reporting.estimates import Estimate, Seeds, combine
from titok.reporting.judgement import Judgement, Statement, judge
from titok.reporting.layouts import Column
from titok.reporting.paper import PaperValue


class Numbers(Protocol):
    """A column of a table: its head, and one entry per row."""

    @property
    def column(self) -> Column: ...
    @property
    def head(self) -> str: ...
    @property
    def ours(self) -> Sequence[Statistic | None]: ...
    @property
    def theirs(self) -> Sequence[PaperValue | None]: ...
    @property
    def known(self) -> Sequence[Seeds | Estimate | None]: ...


def ordering_note(filled: Sequence[Numbers], metric: str | None) -> list[str]:
    """Which pairs of our rows stand in the paper's order: the comparison that two datasets allow.

    A pair counts where the interval of its difference lies on one side, as everywhere.
    """
    for column in filled:
        if column.column.metric != metric:
            continue
        words = [found.word for found in pairs_in_order(column.known, column.theirs)]
        if words:
            parts = [f"{words.count('agrees')} of {len(words)} pairs as in the paper"]
            for word, said in (("differs", "the other way round"), ("undecided", "undecided")):
                parts += [f"{words.count(word)} {said}"] if word in words else []
            return [f"Order of the rows by {column.head.rstrip(' ↓↑')}: {', '.join(parts)}."]
    return []


def pairs_in_order(ours: Sequence[Seeds | Estimate | None], theirs: Sequence[PaperValue | None]) -> list[Judgement]:
    """Of each pair of rows, whether it stands in the paper's order.

    Numbers on two datasets must not be subtracted, but their orderings can be compared. Pairs that lack a number, rest
    on an unsure one, or are equal in the paper are left out.
    """
    known = [(a, b.value) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None and b.is_sure]
    pairs = [(x, y) if x[1] < y[1] else (y, x) for x, y in itertools.combinations(known, 2) if x[1] != y[1]]
    return [judge(Statement(combine([lower[0], higher[0]], [1.0, -1.0]))) for lower, higher in pairs]


def reasons(judged: Iterable[tuple[str, str, Judgement | None]]) -> list[str]:
    """Why rows' numbers (row, column's head, judgement) are undecided or not comparable; one sentence per reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for row, head, judgement in judged:
        if judgement is not None and judgement.because:
            found.setdefault((judgement.word, judgement.because), []).append(f"{row}'s {head.rstrip(' ↓↑')}")
    return [f"{word[0].upper()}{word[1:]}: {', '.join(names)} ({because})." for (word, because), names in found.items()]


def interval_note(filled: Sequence[Numbers]) -> list[str]:
    """What brackets mean, where there are any: over images, or of speeds, over sittings or batches."""
    notes = {
        "images": "the interval of {} of bootstrap draws over images.",
        "sittings": "of speeds, the {} interval of their mean over sittings.",
        "batches": "of speeds, the middle {} of batches.",
    }
    found: dict[str, set[float]] = {over: set() for over in notes}
    for column in filled:
        if not column.column.is_fact:
            for interval in (value.interval for value in column.ours if value and value.interval):
                found[interval.over].add(interval.coverage)
    return [
        f"In brackets: {notes[over].format(' and '.join(f'{coverage:.0%}' for coverage in sorted(shares)))}"
        for over, shares in found.items()
        if shares
    ]


def seeds_note(numbers: Iterable[tuple[str, Statistic | None]]) -> list[str]:
    """How many seeds are behind the rows' numbers (row, number)."""
    rows: dict[str, set[int]] = {}
    for row, found in numbers:
        if found is not None:
            rows.setdefault(row, set()).add(found.n)
    counts: dict[str, list[str]] = {}
    for row, some in rows.items():
        counts.setdefault(" or ".join(map(str, sorted(some))), []).append(row)
    if len(counts) < 2:
        return [f"Seeds: {count}." for count in counts]
    return ["Seeds: " + "; ".join(f"{count} ({', '.join(names)})" for count, names in counts.items()) + "."]
