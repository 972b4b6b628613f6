"""Do two judges order a study's tokenizers alike? Their distances' ranks, and the pairs that they order otherwise.

The study's extractor gives rFID, each of its `evaluation.encoders` a Frechet distance of its own (``fd_NAME``), both of
the same reconstructions. Only rows that both measured are looked at, a row being a tokenizer with a stage. Whether one
row lies below another is judged as everywhere (``titok.reporting.judgement``): from what each seed gave.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from titok.reporting.beside import known_of
from titok.reporting.cells import Block, Cell, Table
from titok.reporting.collect import Scores
from titok.reporting.estimates import COVERAGE, Estimate, Seeds, combine
from titok.reporting.judgement import DECIDED, Judgement, Statement, judge, shown
from titok.reporting.rank_agreement import FEWEST, RESAMPLES, RankCorrelation, spearman

NAME = "judges"
FIRST = "rfid"
MOST_SHOWN = 12
"""Swapped pairs on a page; the clearest come first."""
Known = Seeds | Estimate
NOTE = (
    f"Rows are tokenizers with a stage, means over seeds. Spearman's correlation of the two judges' distances has a "
    f"{COVERAGE:.0%} percentile bootstrap over rows ({RESAMPLES:,} draws): it knows chance among such rows, not other "
    "seeds; 'by chance' is the share of as many random orders that are as far from 0. A pair of rows is in one order, "
    "or swapped, if each judge's interval of the difference over seeds lies on one side of 0, and undecided otherwise; "
    "of many pairs, intervals of 95 % leave some by chance."
)


@dataclass(frozen=True)
class Swap:
    """Two rows that the judges put in opposite orders, each beyond its interval.

    Attributes:
        better, worse: by the first judge.
        first, second: each judge's difference, better less worse.
    """

    better: str
    worse: str
    first: Judgement
    second: Judgement

    @property
    def clarity(self) -> float:
        """Of the less sure judge."""
        return min(abs(self.first.clarity), abs(self.second.clarity))


@dataclass(frozen=True)
class Agreement:
    """How far two judges agree over the rows that both measured.

    Attributes:
        same, undecided: pairs of rows that both put in one order; that one of them cannot order.
        swaps: the other pairs, the clearest first.
    """

    ranks: RankCorrelation
    same: int
    undecided: int
    swaps: tuple[Swap, ...]


def agreement(first: Mapping[str, Known], second: Mapping[str, Known]) -> Agreement:
    """Of two judges' numbers by row, the same rows in both."""
    means = [np.array([combine([judged[row]], [1.0]).value for row in first]) for judged in (first, second)]
    swaps, same, undecided = [], 0, 0
    for one, other in itertools.combinations(first, 2):
        words = [_below(judged[one], judged[other]) for judged in (first, second)]
        if not {word.word for word in words} <= DECIDED:
            undecided += 1
        elif words[0].word == words[1].word:
            same += 1
        elif words[0].word == "agrees":
            swaps.append(Swap(one, other, *words))
        else:
            swaps.append(Swap(other, one, *(_below(judged[other], judged[one]) for judged in (first, second))))
    swaps.sort(key=lambda swap: -swap.clarity)
    return Agreement(spearman(means[0], means[1]), same, undecided, tuple(swaps))


def _below(one: Known, other: Known) -> Judgement:
    return judge(Statement(combine([one, other], [1.0, -1.0])))


def build_judges(scores: Scores) -> Table | None:
    """The table of a study with two judges; None of one with a single judge, or with too few rows for ranks."""
    found = {metric: numbers for metric in _second_judges(scores) if (numbers := _numbers(scores, metric))}
    agreements = {metric: agreement(first, second) for metric, (first, second) in found.items() if len(first) >= FEWEST}
    if not agreements:
        return None
    name = scores.name(FIRST)
    heads = ["second judge", "rows", f"Spearman with {name}", "by chance", "pairs in one order", "swapped", "undecided"]
    lines = [[Cell(text) for text in _line(scores.name(metric), one)] for metric, one in agreements.items()]
    swapped = [_swapped(name, scores.name(metric), one) for metric, one in agreements.items() if one.swaps]
    data = pd.DataFrame([_data(metric, one) for metric, one in agreements.items()])
    return Table(NAME, "Do the judges order the tokenizers alike?", [Block("", heads, lines), *swapped], data, [NOTE])


def _second_judges(scores: Scores) -> list[str]:
    """``fd_NAME`` of every encoder that a reconstruction was measured by."""
    return sorted(column for column in map(str, scores.frame) if column.startswith("fd_"))


def _numbers(scores: Scores, metric: str) -> tuple[dict[str, Known], dict[str, Known]] | None:
    """Row -> what is known of it, by the first judge and by the second; None where no row has both.

    Rows that were measured by another protocol than most are left out.
    """
    frame = scores.frame
    both = frame[(frame["kind"] == "reconstruction") & frame[FIRST].notna() & frame[metric].notna()]
    if both.empty:
        return None
    alike = both[both["protocol_id"] == both["protocol_id"].mode().iloc[0]]
    rows = {
        f"{tokenizer}, {stage}" if stage != tokenizer else str(tokenizer): own
        for (tokenizer, stage), own in alike.groupby(["tokenizer", "stage"], sort=True)
    }
    first, second = (
        {row: known_of(scores, own, of, "reconstruction") for row, own in rows.items()} for of in (FIRST, metric)
    )
    return first, second


def _line(label: str, found: Agreement) -> list[str]:
    ranks = found.ranks
    interval = f"{ranks.value:.2f} [{ranks.low:.2f}, {ranks.high:.2f}]"
    counts = (found.same, len(found.swaps), found.undecided)
    return [label, str(ranks.pairs), interval, f"{ranks.by_chance:.2g}", *map(str, counts)]


def _swapped(first: str, second: str, found: Agreement) -> Block:
    kept = found.swaps[:MOST_SHOWN]
    of = f", the clearest {len(kept)} of {len(found.swaps)}" if len(kept) < len(found.swaps) else ""
    title = f"Pairs that {second} orders the other way round, each beyond its interval{of}"
    heads = [f"better by {first}", f"better by {second}", f"difference of {first}", f"difference of {second}"]
    rows = [[Cell(swap.better), Cell(swap.worse), Cell(shown(swap.first)), Cell(shown(swap.second))] for swap in kept]
    return Block(title, heads, rows)


def _data(metric: str, found: Agreement) -> dict[str, object]:
    ranks = found.ranks
    return {
        "metric": metric, "rows": ranks.pairs, "spearman": ranks.value, "low": ranks.low, "high": ranks.high,
        "by_chance": ranks.by_chance, "same": found.same, "swapped": len(found.swaps), "undecided": found.undecided,
    }  # fmt: skip
