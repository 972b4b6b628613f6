"""Trends over the grid of Table 4, as claims speak of them: one number per tokenizer size, from means over seeds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from titok.reporting.collect import MissingScore, Scores
from titok.reporting.grid import curve, grid_frame, rank_correlation
from titok.reporting.quantity import Quantity

if TYPE_CHECKING:
    from titok.config.rows import Grid


def trend_functions(grid: Grid | None, scores: Scores) -> dict[str, Callable[..., Any]]:
    """The words of claims about the grid; using one where the study has no grid raises ``MissingScore``."""
    trends = Trends(grid, scores)
    words = ("rank_correlation", "falls_with_size", "half_the_tokens", "last_gain_over_first", "gain_between")
    functions: dict[str, Callable[..., Any]] = {word: getattr(trends, word) for word in (*words, "speed_ratio")}
    return functions | {"largest": lambda values: _exact(max(values)), "smallest": lambda values: _exact(min(values))}


def _exact(value: float) -> Quantity:
    return Quantity.exactly(value)


class Trends:
    """The grid's curves: a metric's means over K, per size."""

    def __init__(self, grid: Grid | None, scores: Scores) -> None:
        self._grid = grid
        self._scores = scores
        self._frame: pd.DataFrame | None = None

    def rank_correlation(self, metric: str) -> list[float]:
        """Spearman's correlation of K and the metric."""
        return [rank_correlation(values) for values in self._curves(metric)]

    def falls_with_size(self, metric: str) -> bool:
        """Whether each size has a lower mean than the one below it, over the smaller half of the Ks."""
        means = [float(values["mean"].iloc[: -(-len(values) // 2)].mean()) for values in self._curves(metric)]
        return all(larger < smaller for smaller, larger in itertools.pairwise(means))

    def half_the_tokens(self, metric: str) -> Quantity:
        """Mean over sizes and Ks of metric(larger size, K / 2) / metric(smaller size, K)."""
        ratios = []
        for smaller, larger in itertools.pairwise(self._curves(metric)):
            small, large = _by_k(smaller), _by_k(larger)
            ratios += [large[k // 2] / small[k] for k in small if k % 2 == 0 and k // 2 in large]
        if not ratios:
            raise MissingScore("the grid has no K of which half is in it, too")
        return Quantity.exactly(sum(ratios) / len(ratios))

    def last_gain_over_first(self, metric: str) -> list[float]:
        """What the last doubling of K gains over what the first one does."""
        found = []
        for values in self._curves(metric):
            means = _by_k(values)
            gains = [means[k] - means[2 * k] for k in means if 2 * k in means]
            if len(gains) < 2:
                raise MissingScore("the grid has fewer than two doublings of K")
            found.append(gains[-1] / gains[0])
        return found

    def gain_between(self, metric: str, few: Quantity, many: Quantity) -> list[float]:
        """How much the metric falls from ``few`` to ``many`` tokens."""
        return [means[int(few.value)] - means[int(many.value)] for means in self._with(metric, few, many)]

    def speed_ratio(self, metric: str, few: Quantity, many: Quantity) -> list[float]:
        """The metric at ``few`` tokens over that at ``many``."""
        return [means[int(few.value)] / means[int(many.value)] for means in self._with(metric, few, many)]

    def _with(self, metric: str, *tokens: Quantity) -> list[dict[int, float]]:
        wanted = {int(k.value) for k in tokens}
        found = [means for means in map(_by_k, self._curves(metric)) if wanted <= means.keys()]
        if not found:
            raise MissingScore(f"no size of the grid has {metric} at K = {', '.join(map(str, sorted(wanted)))}")
        return found

    def _curves(self, metric: str) -> Sequence[pd.DataFrame]:
        """One curve per size that has the metric, from the smallest size to the largest."""
        if self._grid is None:
            raise MissingScore("needs the grid of a study's Table 4")
        if self._frame is None:
            self._frame = grid_frame(self._grid, self._scores)
        curves = [curve(self._frame, metric, size) for size in self._grid.sizes]
        found = [values for values in curves if len(values) > 1]
        if not found:
            raise MissingScore(f"the grid has no two values of {metric}")
        return found


def _by_k(values: pd.DataFrame) -> dict[int, float]:
    return {int(k): float(mean) for k, mean in zip(values["k"], values["mean"], strict=True)}
