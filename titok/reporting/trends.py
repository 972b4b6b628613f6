"""What the paper says that numbers do: over the grid of Table 4, and from one stage to the next.

Every trend is judged from what each seed gave (``titok.reporting.judgement``); speeds with a protocol of their own,
from their sittings. The page lists them, the headline and the claims' expressions ask for the same ones.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from titok.records.metric import POOLINGS, READ_FROM
from titok.records.record import Kind
from titok.reporting.beside import known_of
from titok.reporting.collect import MissingScore, NotComparableError, PlannedScoreMissing, Scores
from titok.reporting.estimates import Estimate, Seeds, combine, each, log2
from titok.reporting.grid import PANELS, PROBE_READINGS, cell_records, size_name
from titok.reporting.judgement import Judgement, Statement, all_of, judge
from titok.reporting.quantity import Quantity, difference, geometric_mean, largest, ratio, smallest

if TYPE_CHECKING:
    from titok.config.reporting import Reporting
    from titok.config.rows import Grid

PER_DOUBLING = "times, per doubling of K"
Known = Seeds | Estimate
Curve = Mapping[int, Known]
"""K -> what is known of the metric there."""


@dataclass(frozen=True)
class Trend:
    """One of the paper's statements about this study's models.

    Attributes:
        name: `group/what`, e.g. `rfid_falls_with_k/s`.
        statement: in words.
    """

    name: str
    statement: str
    judgement: Judgement


def study_trends(reporting: Reporting, scores: Scores) -> list[Trend]:
    """Every trend that a study's rows can show; one whose scores are missing is not run and says which."""
    grid = reporting.tables.table4
    found = list(_finetuning(scores))
    if grid is not None:
        found = [*_grid_trends(grid, GridTrends(grid, scores)), *found]
    return found


def _grid_trends(grid: Grid, trends: GridTrends) -> Iterator[Trend]:
    if len(grid.tokens) > 1:
        for size in grid.sizes:
            said = f"rFID of {size_name(size)} falls with the number of tokens K."
            judged = _or_why_not(trends.falls_with_tokens, "rfid", size)
            yield Trend(f"rfid_falls_with_k/{size}", said, judged)
    for smaller, larger in itertools.pairwise(grid.sizes):
        few = " and ".join(map(str, trends.few_tokens))
        said = f"For few tokens (K = {few}), rFID of {size_name(larger)} is lower than that of {size_name(smaller)}."
        judged = _or_why_not(trends.larger_is_better, "rfid", smaller, larger)
        yield Trend(f"larger_is_better/{smaller}-{larger}", said, judged)


def _finetuning(scores: Scores) -> Iterator[Trend]:
    """A trend per tokenizer that has both stages."""
    frame = scores.frame
    if not {"kind", "stage", "rfid"} <= set(frame):
        return
    records = frame[(frame["kind"] == "reconstruction") & frame["stage"].isin(["stage1", "stage2"])]
    for tokenizer, own in records.groupby("tokenizer", sort=True):
        before, after = own[own["stage"] == "stage1"], own[own["stage"] == "stage2"]
        if before.empty or after.empty:
            continue
        said = f"Decoder fine-tuning lowers rFID of {tokenizer}."
        yield Trend(f"finetuning_lowers_rfid/{tokenizer}", said, _or_why_not(_is_lower, scores, after, before, own))


def _is_lower(scores: Scores, after: pd.DataFrame, before: pd.DataFrame, both: pd.DataFrame) -> Judgement:
    scores.require_one_protocol(both, "rfid")
    return judge(Statement(combine([scores.by_seed(after, "rfid"), scores.by_seed(before, "rfid")], [1.0, -1.0])))


def _or_why_not(judged: Callable[..., Judgement], *arguments: Any) -> Judgement:
    """The judgement, or the word for what is missing or was measured in two ways."""
    try:
        return judged(*arguments)
    except NotComparableError as error:
        return Judgement("not comparable", because=error.differing)
    except MissingScore as error:
        return Judgement("not run", because=str(error))


class GridTrends:
    """The grid's numbers by size, K and seed. Every place that the study plans must be there.

    Methods raise ``MissingScore`` where one is not, or where the grid is too small for what is asked, and
    ``NotComparableError`` where the metric was measured in two ways.
    """

    def __init__(self, grid: Grid | None, scores: Scores) -> None:
        self._grid = grid
        self._scores = scores

    @property
    def few_tokens(self) -> tuple[int, ...]:
        """The smaller half of the Ks."""
        tokens = self._the_grid.tokens
        return tokens[: -(-len(tokens) // 2)]

    def falls_with_tokens(self, metric: str, size: str | None = None) -> Judgement:
        """Whether the metric falls with K, for one size or for every one.

        The slope of log2 metric over log2 K is below 0, and no single step to the next K rises beyond doubt.
        """
        curves = self.curves(metric)
        chosen = curves if size is None else {size: curves[size]}
        return all_of([falls(size_name(name), curve, len(curves)) for name, curve in chosen.items()])

    def falls_by_either_pooling(self, metric: str) -> Judgement:
        """Whether what a linear probe reads falls with K, averaged over the tokens as well as side by side.

        Pooling alone can make it: a mean loses what single tokens hold, and side by side more tokens give more
        features. Of everything that was read by both poolings all readings must say the same.
        """
        self.curves(metric)  # where nothing was probed, nothing was run
        read = [of for of in READ_FROM if all(f"{metric}_{of}_{pooling}" in self._scores.frame for pooling in POOLINGS)]
        if not read:
            because = f"nothing was read by both poolings ({' and '.join(POOLINGS)}); add to probe.readings"
            return Judgement("undecided", because=because)
        names = [f"{of}_{pooling}" for of in read for pooling in POOLINGS]
        found = {name: self.falls_with_tokens(f"{metric}_{name}") for name in names}
        if len({judged.word for judged in found.values()}) > 1:
            said = ", ".join(f"{name.replace('_', ' by ')} {judged.word}" for name, judged in found.items())
            return Judgement("undecided", because=f"how tokens are pooled decides: {said}")
        return all_of(list(found.values()))

    def larger_is_better(self, metric: str, smaller: str | None = None, larger: str | None = None) -> Judgement:
        """Whether a larger size has the lower mean over few tokens; without sizes, each than the one below it."""
        curves = self.curves(metric)
        pairs = list(itertools.pairwise(curves)) if smaller is None or larger is None else [(smaller, larger)]
        if not pairs:
            raise MissingScore(f"the grid has {metric} of one size only; sizes are compared from two on")
        return all_of([self._is_lower(curves[below], curves[above], len(curves) - 1) for below, above in pairs])

    def _is_lower(self, below: Curve, above: Curve, family: int) -> Judgement:
        few = [k for k in self.few_tokens if k in below and k in above]
        if not few:
            raise MissingScore("the two sizes have none of the few tokens in common")
        groups = [curve[k] for curve in (above, below) for k in few]
        weights = [sign / len(few) for sign in (1.0, -1.0) for _ in few]
        return judge(Statement(combine(groups, weights)), family=family)

    def gains_flatten(self, metric: str) -> Judgement:
        """Whether for every size the last doubling of K gains less than half of what the first one does, and that
        gains something."""
        curves = self.curves(metric)
        return all_of([_flattens(size_name(size), curve, len(curves)) for size, curve in curves.items()])

    def half_the_tokens(self, metric: str) -> Quantity:
        """Metric(larger size, K / 2) / metric(smaller size, K), geometric mean over sizes and Ks."""
        ratios = [
            ratio(Quantity.of(above[k // 2]), Quantity.of(below[k]))
            for below, above in itertools.pairwise(self.curves(metric).values())
            for k in below
            if k % 2 == 0 and k // 2 in above
        ]
        if not ratios:
            raise MissingScore("the grid has no two sizes of which the larger one has half of the smaller one's K")
        return geometric_mean(ratios)

    def gain_between(self, metric: str, few: Quantity, many: Quantity) -> list[Quantity]:
        """How much the metric falls from ``few`` to ``many`` tokens, per size."""
        return [difference(*map(Quantity.of, pair)) for pair in self._with(metric, few, many)]

    def speed_ratio(self, metric: str, few: Quantity, many: Quantity) -> list[Quantity]:
        """The metric at ``few`` tokens over that at ``many``, per size."""
        return [ratio(*map(Quantity.of, pair)) for pair in self._with(metric, few, many)]

    def _with(self, metric: str, *tokens: Quantity) -> list[list[Known]]:
        wanted = [int(k.value) for k in tokens]
        curves = self.curves(metric)
        for size, curve in curves.items():
            lacking = [str(k) for k in wanted if k not in curve]
            if lacking:
                raise MissingScore(f"{size_name(size)} has no {metric} at K = {' and '.join(lacking)}")
        return [[curve[k] for k in wanted] for curve in curves.values()]

    def curves(self, metric: str) -> dict[str, dict[int, Known]]:
        """Size -> K -> what is known there, of every place where the study plans such records; two K at least."""
        kinds: dict[str, Kind] = dict.fromkeys(PROBE_READINGS, "linear_probe")
        kind = (kinds | {name: own for name, own, *_ in PANELS}).get(metric, "reconstruction")
        places = [
            (cell, records)
            for cell in self._the_grid.cells()
            for records in cell_records(self._the_grid, cell, kind, self._scores)
        ]
        found: dict[str, dict[int, Known]] = {}
        for cell, records in places:
            if not self._scores.by_seed(records, metric):
                raise PlannedScoreMissing(
                    f"{size_name(cell.size)} at K = {cell.k} has no {metric}; the grid plans it there"
                )
            found.setdefault(cell.size, {})[cell.k] = known_of(self._scores, records, metric, kind)
        if not found or any(len(curve) < 2 for curve in found.values()):
            raise MissingScore(f"the grid has no two values of {metric}")
        self._scores.require_one_protocol(pd.concat([records for _, records in places]), metric)
        return found

    @property
    def _the_grid(self) -> Grid:
        if self._grid is None:
            raise MissingScore("needs the grid of a study's Table 4")
        return self._grid


def trend_functions(grid: Grid | None, scores: Scores) -> dict[str, Callable[..., Any]]:
    """The words of claims about the grid; using one where the study has no grid raises ``MissingScore``."""
    trends = GridTrends(grid, scores)

    def of_every_size(judged: Callable[[str], Judgement], metric: str) -> Judgement:
        if grid is not None and len(grid.sizes) < 2:
            raise MissingScore("the grid has one size; what every size shows takes two at least")
        return judged(metric)

    words = ("larger_is_better", "half_the_tokens", "gains_flatten", "gain_between", "speed_ratio")
    return {
        **{
            word: functools.partial(of_every_size, getattr(trends, word))
            for word in ("falls_with_tokens", "falls_by_either_pooling")
        },
        **{word: getattr(trends, word) for word in words},
        "geometric_mean": geometric_mean,
        "largest": largest,
        "smallest": smallest,
    }


def falls(name: str, curve: Curve, family: int) -> Judgement:
    """Whether one size's curve falls with K, as one of ``family`` sizes that must all fall."""
    tokens = list(curve)
    positions = np.log2(tokens) - np.log2(tokens).mean()
    logs = [_log2(known) for known in curve.values()]
    slope = combine(logs, list(positions / np.square(positions).sum()))
    steps = [
        Statement(
            combine([later, earlier], [1.0, -1.0]),
            contradiction=f"{name} rises from K = {few} to {many}",
            unit=f"times, from K = {few} to {many}",
            factor=True,
        )
        for (few, earlier), (many, later) in itertools.pairwise(zip(tokens, logs, strict=True))
    ]
    whole = Statement(slope, contradiction=f"{name} rises with K", unit=PER_DOUBLING, factor=True)
    return judge(whole, steps, family)


def _flattens(name: str, curve: Curve, sizes: int) -> Judgement:
    doublings = [(curve[k], curve[2 * k]) for k in curve if 2 * k in curve]
    if len(doublings) < 2:
        raise MissingScore("the grid has fewer than two doublings of K")
    first, last = doublings[0], doublings[-1]
    said = f"{name} gains nothing by the first doubling"
    gains = Statement(combine(first, [1.0, -1.0]), 0.0, np.inf, contradiction=said)
    steep = f"{name} gains half of the first doubling or more by the last"
    flatter = Statement(combine([*last, *first], [1.0, -1.0, -0.5, 0.5]), contradiction=steep)
    return all_of([judge(part, family=2 * sizes) for part in (gains, flatter)])


def _log2(known: Known) -> Known:
    """NaN where there is none."""
    return known.logarithm() if isinstance(known, Estimate) else each(log2, known)
