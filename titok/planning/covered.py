"""Which of the paper's numbers a target puts ours beside."""

from __future__ import annotations

from collections.abc import Iterator

from titok.config.targets import Targets
from titok.reporting.layouts import LAYOUTS
from titok.reporting.paper import Paper

GRID_TABLES = {"table4": ("table4a", "table4d"), "figure4": ("table4a", "table4d")}
"""Targets whose numbers of the paper stand under other names; the paper's 4b and 4c are not known."""


def verified_numbers(targets: Targets, name: str, paper: Paper) -> Iterator[str]:
    """The numbers as `table1/titok-l-32 rfid`; settings are none, and unsure numbers verify nothing."""
    reporting = targets.study.reporting
    if name == "paper":
        for table in reporting.tables.names:
            yield from verified_numbers(targets, table, paper)
    elif name in (*GRID_TABLES, *reporting.tables.panels):
        tables = GRID_TABLES.get(name, (name,))
        yield from _sure(paper, [f"{table}/{row}" for table in tables for row in paper.rows(table)], None)
    elif name in LAYOUTS:
        columns = {column.paper for column in LAYOUTS[name].columns if not column.is_fact}
        rows = reporting.tables.rows(name)  # type: ignore[arg-type]
        yield from _sure(paper, [str(row.paper) for row in rows if row.paper and row.scores], columns)


def _sure(paper: Paper, references: list[str], columns: set[str | None] | None) -> Iterator[str]:
    """What the paper says in some rows (`table/row`), in some columns or all."""
    frame = paper.frame[paper.frame["confidence"] != "low"]
    for reference in references:
        table, _, row = reference.partition("/")
        found = frame[(frame["table"] == table) & (frame["row"] == row)]["column"]
        yield from (f"{reference} {column}" for column in found if columns is None or column in columns)
