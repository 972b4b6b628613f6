"""The grid of token counts K and model sizes: the numbers behind Figure 4 and Table 4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from titok.records.metric import METRICS
from titok.records.record import Kind
from titok.reporting.collect import NotComparableError, Scores, Statistic
from titok.reporting.comparable import TRAINING_SPEED
from titok.reporting.paper import Paper
from titok.runtime.ranks import rank_correlations

if TYPE_CHECKING:
    from titok.config.rows import Grid, GridCell

PANELS: tuple[tuple[str, Kind, str, str], ...] = (
    ("rfid", "reconstruction", "a", "table4a"),
    ("linear_probe_top1", "linear_probe", "b", ""),
    ("gfid", "generation", "c", ""),
    ("sampling_images_per_second", "generation", "d", "table4d"),
    ("training_images_per_second", "generation", "d", "table4d"),
)
"""(metric, kind of its records, panel of the table and the figure, the paper's table)."""

RECONSTRUCTION_METRICS = ("classifier_accuracy", "codebook_usage", "codebook_perplexity", "psnr", "ssim")
"""Also gathered, for the figures beside Figure 4 and the checks."""

PROBE_READINGS = tuple(metric for metric in METRICS if metric.startswith("linear_probe_top1_"))
"""The probe's readings by what they are of and how they are pooled, where a study takes several."""

GRID_COLUMNS = ["size", "k", "metric", "n", "mean", "std", "min", "max", "low", "high"]
"""`low` and `high` are what figures shade: the seeds' span or, of a single seed, its bootstrap interval."""


def grid_numbers(grid: Grid, scores: Scores, panels: str = "abcd") -> list[tuple[GridCell, str, Statistic]]:
    """Every number of the grid: its place, metric and statistic.

    ``panels``: whose metrics; panel a brings the other metrics of reconstructions along.

    Raises:
        MissingScore: a place of the grid has no score.
        ScoreError: one metric was measured in two ways.
    """
    wanted = [(metric, kind) for metric, kind, panel, _ in PANELS if panel in panels]
    if "a" in panels:
        wanted += [(metric, "reconstruction") for metric in RECONSTRUCTION_METRICS]
    if "b" in panels:
        wanted += [(metric, "linear_probe") for metric in PROBE_READINGS]
    numbers: list[tuple[GridCell, str, Statistic]] = []
    for metric, kind in wanted:
        found = [(cell, records) for cell in grid.cells() for records in cell_records(grid, cell, kind, scores)]
        measured = [(cell, records) for cell, records in found if metric in records and records[metric].notna().any()]
        if metric == TRAINING_SPEED and training_apart(grid, scores):
            continue
        if measured:
            scores.require_one_protocol(pd.concat([records for _, records in measured]), metric)
        known = [(cell, scores.statistic(records, metric)) for cell, records in measured]
        numbers += [(cell, metric, statistic) for cell, statistic in known if statistic is not None]
    return numbers


def training_apart(grid: Grid, scores: Scores) -> str:
    """In what the trainings' speeds differ, so that none is shown; empty for nothing.

    Unlike other numbers, which are refused, they cannot be measured again without training again.
    """
    found = [records for cell in grid.cells() for records in cell_records(grid, cell, "generation", scores)]
    try:
        if found:
            scores.require_one_protocol(pd.concat(found), TRAINING_SPEED)
    except NotComparableError as error:
        return error.differing
    return ""


def grid_frame(grid: Grid, scores: Scores, panels: str = "abcd") -> pd.DataFrame:
    """The grid as a long frame with `GRID_COLUMNS`; one line per place and metric. Raises like `grid_numbers`."""
    return frame_of(grid_numbers(grid, scores, panels))


def frame_of(numbers: Iterable[tuple[GridCell, str, Statistic]]) -> pd.DataFrame:
    """Numbers of the grid as a long frame with `GRID_COLUMNS`."""
    return pd.DataFrame([_line(*number) for number in numbers], columns=GRID_COLUMNS)


def cell_records(grid: Grid, cell: GridCell, kind: Kind, scores: Scores) -> Iterator[pd.DataFrame]:
    """The records of a kind that belong to a place of the grid: one frame, or none where the study plans none.

    Raises:
        MissingScore: they are planned, but not there.
    """
    if kind == "reconstruction":
        yield scores.select(kind, tokenizer=cell.row.tokenizer, stage=cell.row.stage)
    elif kind == "linear_probe" and grid.linear_probe:
        yield scores.select(kind, tokenizer=cell.row.tokenizer)
    elif kind == "generation" and cell.row.generator:
        yield scores.select(kind, generator=cell.row.generator, sampler=cell.row.sampler)


def _line(cell: GridCell, metric: str, found: Statistic) -> dict[str, Any]:
    return {
        "size": cell.size,
        "k": cell.k,
        "metric": metric,
        "n": found.n,
        "mean": found.mean,
        "std": found.std,
        "min": found.minimum,
        "max": found.maximum,
        "low": found.span[0],
        "high": found.span[1],
    }


def paper_points(paper: Paper, metric: str) -> pd.DataFrame:
    """The paper's own grid: size (empty where it names none), k and mean of a metric; unsure numbers are left out."""
    found = []
    if metric == "rfid":
        places = [(size, k, f"table4a/titok-{size}-{k}") for size, ks in paper_grid(paper).items() for k in ks]
        found = [(size, k, paper.value(row, "rfid")) for size, k, row in places]
    if metric == "sampling_images_per_second":
        column = "samples_per_second_a100"
        rows = [(int(row.removeprefix("k-")), f"table4d/{row}") for row in paper.rows("table4d")]
        found = [("", k, paper.value(row, column)) for k, row in rows]
    lines = [(size, k, value.value) for size, k, value in found if value is not None and value.is_sure]
    return pd.DataFrame(lines, columns=["size", "k", "mean"])


def curve(frame: pd.DataFrame, metric: str, size: str) -> pd.DataFrame:
    """One metric of one size along K, in K's order."""
    return frame[(frame["metric"] == metric) & (frame["size"] == size)].sort_values("k", ignore_index=True)


def rank_correlation(values: pd.DataFrame) -> float:
    """Spearman's correlation of K with the mean of a :func:`curve`, as exact as a float can be.

    NaN for fewer than two K, means that are all equal, and means that are not finite.
    """
    k, means = (values[column].to_numpy(dtype=float)[None] for column in ("k", "mean"))
    return float(rank_correlations(k, means)[0]) if np.isfinite(means).all() else float("nan")


def size_name(size: str) -> str:
    """How people call a size: TiTok-S."""
    return f"TiTok-{size.upper()}"


def paper_grid(paper: Paper) -> dict[str, list[int]]:
    """Sizes of the paper's Table 4a, each with its K."""
    places: dict[str, list[int]] = {}
    for row in paper.rows("table4a"):
        _, size, k = row.split("-")
        places.setdefault(size, []).append(int(k))
    return places
