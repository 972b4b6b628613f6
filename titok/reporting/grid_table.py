"""Table 4: the grid of token counts K and model sizes with the paper's own grid below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from titok.reporting.beside import beside_the_paper
from titok.reporting.cells import (
    EMPTY,
    Block,
    Cell,
    Table,
    difference_cell,
    heading,
    number,
    our_cell,
    paper_cell,
    paper_note,
    paper_prefix,
)
from titok.reporting.collect import MissingScore, Scores, Statistic
from titok.reporting.grid import (
    PANELS,
    PROBE_READINGS,
    curve,
    frame_of,
    grid_numbers,
    paper_grid,
    rank_correlation,
    size_name,
    training_apart,
)
from titok.reporting.judgement import Judgement
from titok.reporting.paper import Paper
from titok.reporting.speeds import speed_note
from titok.reporting.table_notes import reasons, seeds_note

if TYPE_CHECKING:
    from titok.config.reporting import Tables
    from titok.config.rows import Grid, GridCell

    Numbers = Sequence[tuple[GridCell, str, Statistic]]

TRAINING = "Training speed is per device: the whole job's, over its processes."


def build_grid_table(tables: Tables, scores: Scores, paper: Paper, panels: str = "abcd") -> Table:
    """Table 4: a block per panel with sizes as rows and K as columns, ours first, then the paper's own grid.

    ``panels``: `abcd` is the whole table, a single letter that panel as a table of its own.
    """
    grid = tables.table4
    if grid is None:
        raise MissingScore("the study has no grid; add reporting.tables.table4 to it")
    numbers = grid_numbers(grid, scores, panels)
    shown = [number for number in numbers if number[1] in {*(metric for metric, *_ in PANELS), *PROBE_READINGS}]
    blocks: list[Block] = []
    for metric, _, panel, _ in PANELS:
        if any(own == metric for _, own, _ in numbers):
            title = f"4{panel}. {heading(metric, scores.label(metric))}"
            blocks.append(_block(title, numbers, metric, grid))
    notes = seeds_note((size_name(cell.size), statistic) for cell, _, statistic in shown)
    if "a" in panels:
        blocks.append(_paper_rfid(paper, paper_prefix(tables)))
        notes = [*_order(grid, frame_of(numbers), paper), *notes]
        if tables.comparison == "values":
            judged = _judged(grid, scores, paper)
            blocks.append(_differences(grid, numbers, paper, judged))
            notes += reasons(
                (f"{size_name(cell.size)} at K = {cell.k}", "rFID", found) for cell, found in judged.items()
            )
    if "d" in panels:
        blocks.append(_paper_speed(paper, paper_prefix(tables)))
        apart = training_apart(grid, scores)
        training = f"Training speeds are left out: {apart}." if apart else TRAINING
        notes.append(f"{speed_note(scores.frame)} {training}")
    for metric in PROBE_READINGS:
        if any(own == metric for _, own, _ in numbers):
            blocks.append(_block(f"4b. {heading(metric, scores.label(metric))}", numbers, metric, grid))
    name, title = _named(panels)
    note = paper_note(tables) if "a" in panels or "d" in panels else ""
    return Table(name, grid.title or title, blocks, frame_of(shown), notes, note)


def _judged(grid: Grid, scores: Scores, paper: Paper) -> dict[GridCell, Judgement]:
    """Our rFIDs beside the paper's, where both are known."""
    found = {}
    for cell in grid.cells():
        row = f"titok-{cell.size}-{cell.k}"
        records = scores.select("reconstruction", tokenizer=cell.row.tokenizer, stage=cell.row.stage)
        if row in paper.rows("table4a"):
            judged = beside_the_paper(scores, records, "rfid", "reconstruction", paper, f"table4a/{row}", "rfid")
            if judged is not None:
                found[cell] = judged
    return found


def _differences(grid: Grid, numbers: Numbers, paper: Paper, judged: Mapping[GridCell, Judgement]) -> Block:
    """Our rFIDs minus the paper's, with judgements."""
    ours = {cell: statistic for cell, metric, statistic in numbers if metric == "rfid"}
    rows = {size: [Cell(size_name(size))] for size in grid.sizes}
    for cell in grid.cells():
        found = judged.get(cell)
        theirs = paper.value(f"table4a/titok-{cell.size}-{cell.k}", "rfid") if found else None
        text: str = found.word if found else ""
        if found and theirs and found.word != "not comparable":
            text = f"{difference_cell('rfid', ours[cell].mean - theirs.value).text} {found.word}"
        rows[cell.size].append(Cell(text) if text else EMPTY)
    return Block("4a. Ours minus the paper's rFID", ["", *(f"K = {k}" for k in grid.tokens)], list(rows.values()))


def _named(panels: str) -> tuple[str, str]:
    """Name and title of the whole table or of one panel."""
    if len(panels) > 1:
        return "table4", "Table 4. Token counts and model sizes"
    shown = {"a": "reconstruction", "b": "linear probe", "c": "generation", "d": "speed"}[panels]
    return f"table4{panels}", f"Table 4{panels}. Token counts and model sizes: {shown}"


def _block(title: str, numbers: Numbers, metric: str, grid: Grid) -> Block:
    found = {(cell.size, cell.k): our_cell(metric, statistic) for cell, own, statistic in numbers if own == metric}
    rows = [[Cell(size_name(size)), *(found.get((size, k), EMPTY) for k in grid.tokens)] for size in grid.sizes]
    shown = [row for row in rows if any(cell is not EMPTY for cell in row[1:])]
    return Block(title, ["", *(f"K = {k}" for k in grid.tokens)], shown)


def _paper_rfid(paper: Paper, prefix: str) -> Block:
    places = paper_grid(paper)
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


def _order(grid: Grid, frame: pd.DataFrame, paper: Paper) -> Sequence[str]:
    """The paper's numbers and ours in short, of the means alone: rank correlations, and rFIDs at the smallest K. What
    holds beyond chance is said by the study's trends."""
    places = paper_grid(paper)
    curves = {size: curve(frame, "rfid", size) for size in grid.sizes}
    theirs = {size: _paper_curve(paper, size, ks) for size, ks in places.items()}
    ranks = ", ".join(f"{size_name(size)} {rank_correlation(found):.2f}" for size, found in curves.items())
    their_ranks = ", ".join(f"{size_name(s)} {rank_correlation(theirs[s]):.2f}" for s in grid.sizes if s in theirs)
    return [
        f"Spearman correlation of K and mean rFID: {ranks}; in the paper: {their_ranks or 'not known'}.",
        f"Mean rFID at the smallest K: {_first(curves)}; in the paper: {_first(theirs)}.",
    ]


def _first(curves: Mapping[str, pd.DataFrame]) -> str:
    known = [(size, found["mean"].iloc[0]) for size, found in curves.items() if len(found)]
    return ", ".join(f"{size_name(size)} {number('rfid', mean)}" for size, mean in known)


def _paper_curve(paper: Paper, size: str, ks: Sequence[int]) -> pd.DataFrame:
    values = [(k, paper.value(f"table4a/titok-{size}-{k}", "rfid")) for k in sorted(ks)]
    return pd.DataFrame([{"k": k, "mean": found.value} for k, found in values if found and found.is_sure])
