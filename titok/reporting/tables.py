"""The paper's Tables 1, 2, 3a-c and 5 with our numbers: listed rows, one column per metric, the paper's beside ours.

A table is a list of columns (``titok.reporting.layouts``); building one is the same for all. Where a study's numbers
are of the paper's kind, differences and verdicts follow. Table 4 is in ``titok.reporting.grid``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from titok.records.record import Kind
from titok.reporting.beside import beside_the_paper, known_of
from titok.reporting.cells import (
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
from titok.reporting.collect import MissingScore, Scores, Statistic, read_scores
from titok.reporting.copies import copies_said
from titok.reporting.estimates import Estimate, Seeds
from titok.reporting.grid_table import build_grid_table
from titok.reporting.infinite_n import is_sound
from titok.reporting.judgement import Judgement
from titok.reporting.layouts import LAYOUTS, Column
from titok.reporting.length_table import build_length_table
from titok.reporting.paper import Paper, PaperValue, read_paper
from titok.reporting.table_notes import interval_note, ordering_note, reasons, seeds_note
from titok.reporting.token_kinds import build_token_kinds
from titok.reporting.writers import write_table

if TYPE_CHECKING:
    from titok.config.reporting import PanelName, TableName, Tables
    from titok.config.rows import Row


def build_table(name: TableName | PanelName, tables: Tables, scores: Scores, paper: Paper) -> Table:
    """A table of a study, or a panel of its grid as a table of its own (`table4a`).

    Args:
        tables: the study's `reporting.tables`.

    Raises:
        MissingScore: the study does not ask for this table, or a row's scores are not among those given.
        ScoreError: a column would hold numbers of two protocols.
    """
    table = _built(name, tables, scores, paper)
    said = copies_said(scores.copies)
    return replace(table, notes=[*table.notes, said]) if said else table


def _built(name: TableName | PanelName, tables: Tables, scores: Scores, paper: Paper) -> Table:
    if name not in tables.files:
        raise MissingScore(
            f"the study asks for no table {name!r}; it has: {', '.join(tables.files) or 'none'}; "
            f"add reporting.tables.{name.rstrip('abcd') if name.startswith('table4') else name} to it"
        )
    if tables.table4 is not None and name.startswith("table4"):
        return build_grid_table(tables, scores, paper, name.removeprefix("table4") or "abcd")
    if tables.adaptive_length is not None and name == "adaptive_length":
        return build_length_table(tables.adaptive_length, scores)
    if tables.token_kinds is not None and name == "token_kinds":
        return build_token_kinds(tables.token_kinds, scores)
    return _build_listed(name, tables, scores, paper)


def make_table(
    name: TableName | PanelName,
    tables: Tables,
    score_files: Iterable[str | Path],
    paper_file: str | Path,
    prefix: str | Path,
) -> list[Path]:
    """Reads scores, builds a table, writes ``{prefix}.csv``, ``.md`` and ``.tex``; returns their paths."""
    return write_table(build_table(name, tables, read_scores(score_files), read_paper(paper_file)), prefix)


@dataclass(frozen=True)
class _Filled:
    """A column with its numbers, one per row of the table."""

    column: Column
    head: str
    ours: Sequence[Statistic | None]
    theirs: Sequence[PaperValue | None]
    known: Sequence[Seeds | Estimate | None]
    judged: Sequence[Judgement | None]
    """None everywhere, where values are not to be compared."""

    @property
    def has_judged(self) -> bool:
        return any(value is not None for value in self.judged)

    @property
    def has_ours(self) -> bool:
        return any(value is not None for value in self.ours)

    @property
    def has_theirs(self) -> bool:
        return any(value is not None for value in self.theirs)


def _build_listed(name: str, tables: Tables, scores: Scores, paper: Paper) -> Table:
    layout, wanted = LAYOUTS[name], getattr(tables, name)
    parts = {
        title: [_fill(column, wanted.rows, tables, scores, paper) for column in columns]
        for title, columns in layout.parts.items()
    }
    filled = [column for part in parts.values() for column in part]
    blocks = [_block(title, part, wanted.rows, paper_prefix(tables)) for title, part in parts.items()]
    labels = [row.label for row in wanted.rows]
    notes = [
        *ordering_note(filled, layout.ordered_by),
        *reasons(
            [
                (label, column.head, found)
                for column in filled
                for label, found in zip(labels, column.judged, strict=True)
            ]
        ),
        *interval_note(filled),
        *seeds_note(
            [
                (label, found)
                for column in filled
                if not column.column.is_fact
                for label, found in zip(labels, column.ours, strict=True)
            ]
        ),
    ]
    note = paper_note(tables) if any(column.has_theirs for column in filled) else ""
    title = wanted.title or layout.title
    return Table(name, title, [block for block in blocks if block.rows], _data(wanted.rows, filled), notes, note)


def _block(title: str, filled: Sequence[_Filled], rows: Sequence[Row], prefix: str) -> Block:
    """A part of the table with the rows that have something in it."""
    heads = ["", *(head for column in filled for head in _heads(column, prefix))]
    lines = [
        [Cell(row.label), *(cell for column in filled for cell in _cells(column, index))]
        for index, row in enumerate(rows)
    ]
    return Block(title, heads, [line for line in lines if any(cell is not EMPTY for cell in line[1:])])


def _fill(column: Column, rows: Sequence[Row], tables: Tables, scores: Scores, paper: Paper) -> _Filled:
    """The numbers of a column, after making sure that they were all measured in one way."""
    records = [_records(column.kind, row, scores) for row in rows]
    head = column.title or heading(column.metric, scores.label(column.metric))
    used = [part[part[column.metric].notna()] for part in records if part is not None and column.metric in part]
    if used and not column.is_fact:
        scores.require_one_protocol(pd.concat(used), head, column.metric)
    sound = [None if part is None or not is_sound(scores, part, column.metric) else part for part in records]
    ours = [None if part is None else scores.statistic(part, column.metric) for part in sound]
    theirs = [paper.value(row.paper, column.paper) if row.paper and column.paper else None for row in rows]
    known = [
        None if part is None or own is None or column.is_fact else known_of(scores, part, column.metric, column.kind)
        for part, own in zip(records, ours, strict=True)
    ]
    is_judged = tables.comparison == "values" and not column.is_fact and column.paper
    judged = [
        beside_the_paper(scores, part, column.metric, column.kind, paper, row.paper, column.paper or "")
        if is_judged and part is not None and row.paper
        else None
        for part, row in zip(records, rows, strict=True)
    ]
    return _Filled(column, head, ours, theirs, known, judged)


def _records(kind: Kind, row: Row, scores: Scores) -> pd.DataFrame | None:
    """A row's records of a kind; None where the row names nothing of that kind."""
    subject = row_subject(kind, row)
    return scores.select(kind, **subject) if subject else None


def row_subject(kind: Kind, row: Row) -> dict[str, Any]:
    """What a row's records of a kind are found by; empty where the row names nothing of that kind."""
    if kind == "generation":
        return {"generator": row.generator, "sampler": row.sampler} if row.generator else {}
    if row.tokenizer is None:
        return {}
    has_stage = kind in ("reconstruction", "costs") and row.tokenizer != "vqgan"
    return {"tokenizer": row.tokenizer, "stage": row.stage} if has_stage else {"tokenizer": row.tokenizer}


def _heads(filled: _Filled, prefix: str) -> list[str]:
    if filled.column.is_fact:
        return [f"{filled.head} (paper)" if filled.has_theirs else filled.head] if filled.has_ours else []
    ours = [filled.head] if filled.has_ours else []
    theirs = [f"{prefix} {heading(filled.column.paper or '')}"] if filled.has_theirs else []
    return [*ours, *theirs, *(["difference", "verdict"] if filled.has_judged else [])]


def _cells(filled: _Filled, index: int) -> list[Cell]:
    """Ours, the paper's, difference and verdict; counts in one cell, `8 (64)`, because they need no protocol."""
    own, theirs = filled.ours[index], filled.theirs[index]
    ours = our_cell(filled.column.metric, own)
    beside = paper_cell(filled.column.paper or "", theirs) if theirs else EMPTY
    if filled.column.is_fact:
        text = " ".join(part for part in (ours.text, f"({beside.text})" if beside.text else "") if part)
        return [Cell(text) if text else EMPTY] if filled.has_ours else []
    found, apart = filled.judged[index], _difference(filled, index)
    compared = [
        EMPTY if apart is None else difference_cell(filled.column.metric, apart),
        Cell(found.word) if found else EMPTY,
    ]
    cells = [*([ours] if filled.has_ours else []), *([beside] if filled.has_theirs else [])]
    return [*cells, *(compared if filled.has_judged else [])]


def _difference(filled: _Filled, index: int) -> float | None:
    """Ours minus the paper's, where the two can be compared."""
    ours, theirs, found = filled.ours[index], filled.theirs[index], filled.judged[index]
    if ours is None or theirs is None or found is None or found.word == "not comparable":
        return None
    return ours.mean - theirs.value


def _data(rows: Sequence[Row], filled: Sequence[_Filled]) -> pd.DataFrame:
    """One line per row: `{metric}_mean`, `_std`, `_min`, `_max`, `_n`, and the paper's number with its confidence."""
    lines = []
    for index, row in enumerate(rows):
        line: dict[str, Any] = {"label": row.label, "tokenizer": row.tokenizer, "generator": row.generator}
        line["sampler"] = row.sampler
        line["stage"] = row.stage if row.tokenizer and row.tokenizer != "vqgan" else None
        for column in filled:
            line |= _data_of(column, index)
        lines.append(line)
    return pd.DataFrame(lines).dropna(axis="columns", how="all")


def _data_of(filled: _Filled, index: int) -> dict[str, Any]:
    column, ours, theirs = filled.column, filled.ours[index], filled.theirs[index]
    name = column.metric if column.title is None else column.title.replace(" ", "_")
    line: dict[str, Any] = {}
    if column.is_fact:
        line[name] = ours.mean if ours else None
    else:
        for part, attribute in (("mean", "mean"), ("std", "std"), ("min", "minimum"), ("max", "maximum"), ("n", "n")):
            line[f"{name}_{part}"] = getattr(ours, attribute) if ours else None
        if ours and ours.interval:
            line |= {f"{name}_low": ours.interval.low, f"{name}_high": ours.interval.high}
    if column.paper:
        line[f"paper_{column.paper}"] = theirs.value if theirs else None
        line[f"paper_{column.paper}_confidence"] = theirs.confidence if theirs else None
    if filled.has_judged:
        found = filled.judged[index]
        line |= {f"{name}_difference": _difference(filled, index), f"{name}_verdict": found and found.word}
    return line
