"""The paper's tables and figures by name: what `snakemake table3b` asks for, in any study.

Every name exists in every study, so that a study without the table says what to do instead of "no such rule".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from titok.config.figures import FIGURES
from titok.config.reporting import PanelName, TableName
from titok.config.targets import Targets
from titok.errors import TitokError

TABLES: tuple[str, ...] = (*get_args(TableName), *get_args(PanelName))
TARGET_NAMES: tuple[str, ...] = (*TABLES, *FIGURES, "paper", "core")
"""What can be asked for by name, beside the workflow's own `all`, `tokenizers`, `generators` and `scores`."""

TABLE_ENDINGS = ("csv", "md", "tex")
FIGURE_ENDINGS = ("svg", "png", "csv")


class NoSuchTarget(TitokError):
    """A study does not ask for this table or figure."""


def target_files(targets: Targets, name: str) -> list[str]:
    """The files behind a name: a table or figure in every format; `paper` is all of them, with the report.

    Raises:
        NoSuchTarget: the study does not have it; says where to add it and what there is.
    """
    if name == "paper":
        return targets.everything()
    if name == "core":
        return core_files(targets)
    if name not in dict(_of_study(targets)):
        there = ", ".join(known for known, _ in _of_study(targets))
        raise NoSuchTarget(
            f"the study {targets.study.study!r} has no {name}: {_what_to_add(name)}. Its own targets: {there}, paper"
        )
    folder, endings = dict(_of_study(targets))[name]
    return [f"{targets.root}/{folder}/{name}.{ending}" for ending in endings]


def core_files(targets: Targets) -> list[str]:
    """One seed of the grid, the first hour of a night: how its tokenizers reconstruct, and the VQGAN.

    Raises:
        NoSuchTarget: the study has no grid.
    """
    grid = targets.study.reporting.tables.table4
    if grid is None:
        raise NoSuchTarget(f"the study {targets.study.study!r} has no core: it needs reporting.tables.table4")
    rows = [cell.row for cell in grid.cells()]
    scores = [targets.reconstruction_scores(str(row.tokenizer), row.stage)[0] for row in rows]
    return [*targets.vqgan_score(), *scores]


def available(targets: Targets) -> list[str]:
    """The targets that a study has."""
    return [*(name for name, _ in _of_study(targets)), "paper"]


def _of_study(targets: Targets) -> Iterator[tuple[str, tuple[str, tuple[str, ...]]]]:
    """(name, (folder, endings)) of every table and figure of a study."""
    yield from ((name, ("tables", TABLE_ENDINGS)) for name in targets.study.reporting.tables.files)
    yield from ((name, ("figures", FIGURE_ENDINGS)) for name in targets.study.reporting.wanted_figures)


def _what_to_add(name: str) -> str:
    if name == "table2":
        return "it is the paper's table at 512 pixels, which config/imagenet512.yaml has (and imagenet256.yaml has not)"
    if name in get_args(PanelName) and name != "table4a":
        part = "linear_probe: true" if name == "table4b" else "generators"
        return f"it needs reporting.tables.table4 with {part}"
    if name in TABLES:
        return f"it needs reporting.tables.{'table4' if name == 'table4a' else name}"
    return f"it needs {FIGURES[name].missing()}"
