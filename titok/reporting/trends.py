"""What the paper says that numbers do: over the grid of Table 4, and from one stage to the next.

Every trend is judged from what each seed gave (``titok.reporting.judgement``). The page lists them, the headline and
the claims' expressions ask for the same ones.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from titok.reporting.collect import Kind, MissingScore, Scores
from titok.reporting.grid import PANELS, cell_records, size_name
from titok.reporting.judgement import Judgement, Seeds, Statement, all_of, combine, judge
from titok.reporting.quantity import Quantity, largest, smallest

if TYPE_CHECKING:
    from titok.config.reporting import Reporting
    from titok.config.rows import Grid

PER_DOUBLING = "times, per doubling of K"


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
    """Every trend that a study's rows can show; one whose scores are missing is undecided and says which."""
    grid = reporting.tables.table4
    found = list(_finetuning(scores))
    if grid is not None:
        found = [*_grid_trends(grid, GridTrends(grid, scores)), *found]
    return found


def _grid_trends(grid: Grid, trends: GridTrends) -> Iterator[Trend]:
    if len(grid.tokens) > 1:
        for size in grid.sizes:
            said = f"rFID of {size_name(size)} falls with the number of tokens K."
            judged = _or_undecided(trends.falls_with_tokens, size)
            yield Trend(f"rfid_falls_with_k/{size}", said, judged)
    for smaller, larger in itertools.pairwise(grid.sizes):
        few = " and ".join(map(str, trends.few_tokens))
        said = f"For few tokens (K = {few}), rFID of {size_name(larger)} is lower than that of {size_name(smaller)}."
        judged = _or_undecided(trends.larger_is_better, smaller, larger)
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
        name = f"finetuning_lowers_rfid/{tokenizer}"
        scores.require_one_protocol(own, name)
        estimate = combine([scores.by_seed(after, "rfid"), scores.by_seed(before, "rfid")], [1.0, -1.0])
        yield Trend(name, f"Decoder fine-tuning lowers rFID of {tokenizer}.", judge(Statement(estimate)))


def _or_undecided(judged: Callable[..., Judgement], *sizes: str) -> Judgement:
    try:
        return judged("rfid", *sizes)
    except MissingScore as error:
        return Judgement("undecided", because=str(error))


class GridTrends:
    """The grid's numbers by size, K and seed. Every place that the study plans must be there.

    Methods raise ``MissingScore`` where one is not, or where the grid is too small for what is asked.
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
        return all_of([_falls(size_name(name), curve, len(curves)) for name, curve in chosen.items()])

    def larger_is_better(self, metric: str, smaller: str | None = None, larger: str | None = None) -> Judgement:
        """Whether a larger size has the lower mean over few tokens; without sizes, each than the one below it."""
        curves = self.curves(metric)
        pairs = list(itertools.pairwise(curves)) if smaller is None or larger is None else [(smaller, larger)]
        if not pairs:
            raise MissingScore(f"the grid has {metric} of one size only; sizes are compared from two on")
        return all_of([self._is_lower(curves[below], curves[above], len(curves) - 1) for below, above in pairs])

    def _is_lower(self, below: Mapping[int, Seeds], above: Mapping[int, Seeds], family: int) -> Judgement:
        few = [k for k in self.few_tokens if k in below and k in above]
        if not few:
            raise MissingScore("the two sizes have none of the few tokens in common")
        groups = [curve[k] for curve in (above, below) for k in few]
        weights = [sign / len(few) for sign in (1.0, -1.0) for _ in few]
        return judge(Statement(combine(groups, weights)), family=family)

    def gains_flatten(self, metric: str) -> Judgement:
        """Whether for every size the last doubling of K gains less than half of what the first one does, and that
        gains something."""
        return all_of([_flattens(size_name(size), curve) for size, curve in self.curves(metric).items()])

    def half_the_tokens(self, metric: str) -> Quantity:
        """Metric(larger size, K / 2) / metric(smaller size, K), geometric mean over sizes and Ks."""
        pairs = [
            (above[k // 2], below[k])
            for below, above in itertools.pairwise(self.curves(metric).values())
            for k in below
            if k % 2 == 0 and k // 2 in above
        ]
        if not pairs:
            raise MissingScore("the grid has no two sizes of which the larger one has half of the smaller one's K")
        groups = [seeds for pair in pairs for seeds in pair]
        weights = [sign / len(pairs) for _ in pairs for sign in (1.0, -1.0)]
        return _by_seed(groups, lambda values: 2.0 ** float(np.dot(weights, [_log2(value) for value in values])))

    def gain_between(self, metric: str, few: Quantity, many: Quantity) -> list[Quantity]:
        """How much the metric falls from ``few`` to ``many`` tokens, per size."""
        return [_by_seed(pair, lambda values: values[0] - values[1]) for pair in self._with(metric, few, many)]

    def speed_ratio(self, metric: str, few: Quantity, many: Quantity) -> list[Quantity]:
        """The metric at ``few`` tokens over that at ``many``, per size."""
        pairs = self._with(metric, few, many)
        return [_by_seed(pair, lambda values: values[0] / values[1] if values[1] else math.nan) for pair in pairs]

    def _with(self, metric: str, *tokens: Quantity) -> list[list[Seeds]]:
        wanted = [int(k.value) for k in tokens]
        curves = self.curves(metric)
        found = [[curve[k] for k in wanted] for curve in curves.values() if set(wanted) <= set(curve)]
        if not found:
            raise MissingScore(f"no size of the grid has {metric} at K = {', '.join(map(str, wanted))}")
        return found

    def curves(self, metric: str) -> dict[str, dict[int, Seeds]]:
        """Size -> K -> seed -> number, of every place where the study plans such records; two K at least."""
        kind: Kind = next((kind for name, kind, *_ in PANELS if name == metric), "reconstruction")
        places = [
            (cell, records)
            for cell in self._the_grid.cells()
            for records in cell_records(self._the_grid, cell, kind, self._scores)
        ]
        found: dict[str, dict[int, Seeds]] = {}
        for cell, records in places:
            seeds = self._scores.by_seed(records, metric)
            if not seeds:
                raise MissingScore(f"{size_name(cell.size)} at K = {cell.k} has no {metric}; the grid plans it there")
            found.setdefault(cell.size, {})[cell.k] = seeds
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

    def falls_with_tokens(metric: str) -> Judgement:
        if grid is not None and len(grid.sizes) < 2:
            raise MissingScore("the grid has one size; what every size shows takes two at least")
        return trends.falls_with_tokens(metric)

    words = ("larger_is_better", "half_the_tokens", "gains_flatten", "gain_between", "speed_ratio")
    return {
        "falls_with_tokens": falls_with_tokens,
        **{word: getattr(trends, word) for word in words},
        "largest": largest,
        "smallest": smallest,
    }


def _falls(name: str, curve: Mapping[int, Seeds], family: int) -> Judgement:
    tokens = list(curve)
    positions = np.log2(tokens) - np.log2(tokens).mean()
    logs = [{seed: _log2(value) for seed, value in seeds.items()} for seeds in curve.values()]
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


def _flattens(name: str, curve: Mapping[int, Seeds]) -> Judgement:
    doublings = [(curve[k], curve[2 * k]) for k in curve if 2 * k in curve]
    if len(doublings) < 2:
        raise MissingScore("the grid has fewer than two doublings of K")
    first, last = doublings[0], doublings[-1]
    gains = Statement(combine(first, [1.0, -1.0]), "above", contradiction=f"{name} gains nothing by the first doubling")
    steep = f"{name} gains half of the first doubling or more by the last"
    flatter = Statement(combine([*last, *first], [1.0, -1.0, -0.5, 0.5]), contradiction=steep)
    return all_of([judge(gains), judge(flatter)])


def _log2(value: float) -> float:
    """NaN where there is none."""
    return math.log2(value) if math.isfinite(value) and value > 0 else math.nan


def _by_seed(groups: Sequence[Seeds], of: Callable[[Sequence[float]], float]) -> Quantity:
    """A number of the groups' means, and of the numbers that every common seed gave."""
    value = of([float(np.mean(list(seeds.values()))) for seeds in groups])
    common = set.intersection(*(set(seeds) for seeds in groups))
    return Quantity(value, value, value, {seed: of([seeds[seed] for seeds in groups]) for seed in sorted(common)})
