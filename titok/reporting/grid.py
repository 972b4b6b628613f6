"""The grid of token counts K and model sizes: the frame behind Figure 4, and Table 4."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from titok.reporting.cells import (
    DISPLAYS,
    EMPTY,
    Block,
    Cell,
    Table,
    difference_cell,
    heading,
    our_cell,
    paper_cell,
    paper_note,
    paper_prefix,
)
from titok.reporting.collect import Kind, MissingScore, Scores, Statistic
from titok.reporting.paper import Paper, PaperValue
from titok.reporting.verdicts import difference

if TYPE_CHECKING:
    from titok.config.reporting import Tables
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

PROBE_READINGS = tuple(metric for metric in DISPLAYS if metric.startswith("linear_probe_top1_"))
"""The probe's readings by what they are of and how they are pooled, where a study takes several."""

SPEED_NOTE = (
    "Speeds are of the machine named in the report; jobs may have shared it. Training speed is per device: the whole "
    "job's, over its processes."
)

GRID_COLUMNS = ["size", "k", "metric", "n", "mean", "std", "min", "max", "low", "high"]
"""`low` and `high` are what figures shade: the seeds' span or, of a single seed, its bootstrap interval."""


def grid_frame(grid: Grid, scores: Scores, panels: str = "abcd") -> pd.DataFrame:
    """The grid as a long frame with `GRID_COLUMNS`; one line per place and metric.

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
    lines: list[dict[str, Any]] = []
    for metric, kind in wanted:
        found = [(cell, records) for cell in grid.cells() for records in cell_records(grid, cell, kind, scores)]
        measured = [(cell, records) for cell, records in found if metric in records and records[metric].notna().any()]
        if measured:
            scores.require_one_protocol(pd.concat([records for _, records in measured]), metric)
        lines += [_line(cell, metric, scores.statistic(records, metric)) for cell, records in measured]
    return pd.DataFrame(lines, columns=GRID_COLUMNS)


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


def _line(cell: GridCell, metric: str, found: Statistic | None) -> dict[str, Any]:
    line: dict[str, Any] = {"size": cell.size, "k": cell.k, "metric": metric}
    if found:
        line |= {"n": found.n, "mean": found.mean, "std": found.std, "min": found.minimum, "max": found.maximum}
        span = (found.interval.low, found.interval.high) if found.interval else (found.minimum, found.maximum)
        line |= {"low": span[0], "high": span[1]}
    return line


def paper_points(paper: Paper, metric: str) -> pd.DataFrame:
    """The paper's own grid: size (empty where it names none), k and mean of a metric; unsure numbers are left out."""
    found = []
    if metric == "rfid":
        places = [(size, k, f"table4a/titok-{size}-{k}") for size, ks in _paper_grid(paper).items() for k in ks]
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

    NaN for fewer than two K, means that are all equal, and means that are not finite. Ranks are counted in halves, so
    that all sums are whole numbers: -0.8 is -0.8 and not -0.7999999999999998.
    """
    if len(values) < 2 or not np.isfinite(values["mean"].to_numpy(dtype=float)).all():
        return float("nan")
    one, other = (_centred_ranks(values[column]) for column in ("k", "mean"))
    squares = sum(rank * rank for rank in one) * sum(rank * rank for rank in other)
    product = sum(a * b for a, b in zip(one, other, strict=True))
    root = math.isqrt(squares)
    return product / (root if root * root == squares else math.sqrt(squares)) if squares else float("nan")


def _centred_ranks(values: pd.Series) -> list[int]:
    """Twice the ranks (ties share their mean), from their middle."""
    return [round(2 * rank) - len(values) - 1 for rank in values.rank()]


def size_name(size: str) -> str:
    """How people call a size: TiTok-S."""
    return f"TiTok-{size.upper()}"


def build_grid_table(tables: Tables, scores: Scores, paper: Paper, panels: str = "abcd") -> Table:
    """Table 4: a block per panel with sizes as rows and K as columns, ours first, then the paper's own grid.

    ``panels``: `abcd` is the whole table, a single letter that panel as a table of its own.
    """
    grid = tables.table4
    if grid is None:
        raise MissingScore("the study has no grid; add reporting.tables.table4 to it")
    frame = grid_frame(grid, scores, panels)
    blocks: list[Block] = []
    for metric, _, panel, _ in PANELS:
        if (frame["metric"] == metric).any():
            title = f"4{panel}. {heading(metric, scores.label(metric))}"
            blocks.append(_block(title, frame, metric, grid))
    if "a" in panels:
        blocks.append(_paper_rfid(paper, paper_prefix(tables)))
        if tables.comparison == "values":
            blocks.append(_differences(grid, scores, paper, tables.tolerance))
    if "d" in panels:
        blocks.append(_paper_speed(paper, paper_prefix(tables)))
    for metric in PROBE_READINGS:
        if (frame["metric"] == metric).any():
            blocks.append(_block(f"4b. {heading(metric, scores.label(metric))}", frame, metric, grid))
    data = frame[frame["metric"].isin([*(metric for metric, *_ in PANELS), *PROBE_READINGS])].reset_index(drop=True)
    name, title = _named(panels)
    note = paper_note(tables) if "a" in panels or "d" in panels else ""
    notes = [*(_trends(grid, frame, paper) if "a" in panels else []), *([SPEED_NOTE] if "d" in panels else [])]
    return Table(name, grid.title or title, blocks, data, notes, note)


def _differences(grid: Grid, scores: Scores, paper: Paper, tolerance: float) -> Block:
    """Our rFIDs minus the paper's, with verdicts, where both are known."""
    rows = {size: [Cell(size_name(size))] for size in grid.sizes}
    for cell in grid.cells():
        records = scores.select("reconstruction", tokenizer=cell.row.tokenizer, stage=cell.row.stage)
        found = difference(scores.statistic(records, "rfid"), _stated(paper, cell), tolerance)
        text = f"{difference_cell('rfid', found.value).text} {found.verdict}" if found else ""
        rows[cell.size].append(Cell(text) if text else EMPTY)
    return Block("4a. Ours minus the paper's rFID", ["", *(f"K = {k}" for k in grid.tokens)], list(rows.values()))


def _stated(paper: Paper, cell: GridCell) -> PaperValue | None:
    row = f"titok-{cell.size}-{cell.k}"
    return paper.value(f"table4a/{row}", "rfid") if row in paper.rows("table4a") else None


def _named(panels: str) -> tuple[str, str]:
    """Name and title of the whole table or of one panel."""
    if len(panels) > 1:
        return "table4", "Table 4. Token counts and model sizes"
    shown = {"a": "reconstruction", "b": "linear probe", "c": "generation", "d": "speed"}[panels]
    return f"table4{panels}", f"Table 4{panels}. Token counts and model sizes: {shown}"


def _block(title: str, frame: pd.DataFrame, metric: str, grid: Grid) -> Block:
    rows = []
    for size in grid.sizes:
        by_k = curve(frame, metric, size).set_index("k")
        rows.append([Cell(size_name(size)), *(_cell(by_k, metric, k) for k in grid.tokens)])
    shown = [row for row in rows if any(cell is not EMPTY for cell in row[1:])]
    return Block(title, ["", *(f"K = {k}" for k in grid.tokens)], shown)


def _cell(by_k: pd.DataFrame, metric: str, k: int) -> Cell:
    if k not in by_k.index:
        return EMPTY
    n, *numbers = by_k.loc[[k], ["n", "mean", "std", "min", "max"]].to_numpy(dtype=float)[0].tolist()
    return our_cell(metric, Statistic(int(n), *numbers))


def _paper_grid(paper: Paper) -> dict[str, list[int]]:
    """Sizes of the paper's Table 4a, each with its K."""
    places: dict[str, list[int]] = {}
    for row in paper.rows("table4a"):
        _, size, k = row.split("-")
        places.setdefault(size, []).append(int(k))
    return places


def _paper_rfid(paper: Paper, prefix: str) -> Block:
    places = _paper_grid(paper)
    every_k = sorted({k for ks in places.values() for k in ks})
    rows = []
    for size, ks in places.items():
        values = [paper.value(f"table4a/titok-{size}-{k}", "rfid") if k in ks else None for k in every_k]
        rows.append([Cell(size_name(size)), *(paper_cell("rfid", value) for value in values)])
    return Block(f"4a. {prefix}: rFID ↓", ["", *(f"K = {k}" for k in every_k)], rows)


def _paper_speed(paper: Paper, prefix: str) -> Block:
    rows_of = paper.rows("table4d")
    named = (
        ("samples_per_second_a100", "sampling (images/s, one A100)"),
        ("train_samples_per_second_per_a100", "generator training (images/s per A100)"),
    )
    rows = [
        [Cell(label), *(paper_cell(column, paper.value(f"table4d/{row}", column)) for row in rows_of)]
        for column, label in named
    ]
    return Block(f"4d. {prefix}: speed ↑", ["", *(row.replace("k-", "K = ") for row in rows_of)], rows)


def _trends(grid: Grid, frame: pd.DataFrame, paper: Paper) -> Sequence[str]:
    """The paper's trends and ours in words: rank correlations, and the sizes' order at the smallest K."""
    places = _paper_grid(paper)
    ours, theirs = [], []
    for size in grid.sizes:
        ours.append(f"{size_name(size)} {rank_correlation(curve(frame, 'rfid', size)):.2f}")
        if size in places:
            theirs.append(f"{size_name(size)} {rank_correlation(_paper_curve(paper, size, places[size])):.2f}")
    order = " < ".join(_sizes_by_rfid({size: curve(frame, "rfid", size)["mean"] for size in grid.sizes}))
    paper_order = " < ".join(
        _sizes_by_rfid({size: _paper_curve(paper, size, ks)["mean"] for size, ks in places.items()})
    )
    return [
        f"Spearman correlation of K and rFID: {', '.join(ours)}; in the paper: {', '.join(theirs) or 'not known'}.",
        f"rFID at the smallest K: {order}; in the paper: {paper_order}.",
    ]


def _paper_curve(paper: Paper, size: str, ks: Sequence[int]) -> pd.DataFrame:
    values = [(k, paper.value(f"table4a/titok-{size}-{k}", "rfid")) for k in sorted(ks)]
    return pd.DataFrame([{"k": k, "mean": found.value} for k, found in values if found and found.is_sure])


def _sizes_by_rfid(curves: dict[str, pd.Series]) -> list[str]:
    """Sizes from the lowest rFID at the smallest K to the highest."""
    return [size_name(size) for size in sorted((s for s in curves if len(curves[s])), key=lambda s: curves[s].iloc[0])]
