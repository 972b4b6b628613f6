"""What the workflow asks of any figure: what it is told, and the scores, logs and images that it reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Generic, TypeVar

from titok.config.rows import CurveRun, Grid, Row
from titok.config.section import Section

Told = TypeVar("Told")
"""What a study says of a figure: a section, rows, or the grid that it is drawn from."""


class FigureInputs(Generic[Told]):
    """One figure of a study: what it is told, and everything that it reads.

    Paths lie below `results/{study}/`; stems of scores below `scores/` there, without seed.
    """

    name: ClassVar[str]
    """Of its files, of `snakemake <name>`, and of its settings in `Figures`."""

    def __init__(self, told: Told) -> None:
        self.told = told

    @classmethod
    def told_by(cls, figures: Section, tables: Section) -> Told | None:
        """The figure's settings; nothing where a study does not want it."""
        wanted: Told | None = getattr(figures, cls.name)
        return wanted

    @classmethod
    def missing(cls) -> str:
        """What a study without it needs."""
        return f"reporting.figures.{cls.name}"

    @property
    def key(self) -> str:
        """Where its settings stand in a study."""
        return f"reporting.figures.{self.name}"

    @property
    def scores(self) -> tuple[str, ...]:
        """Stems of score files."""
        return ()

    @property
    def images(self) -> tuple[str, ...]:
        """Files of images."""
        return ()

    @property
    def runs(self) -> tuple[CurveRun, ...]:
        """Trainings whose logs it shows."""
        return ()

    @property
    def seed(self) -> int | None:
        """Whose images it shows, where it shows those of one seed."""
        return None

    @property
    def shows_paper(self) -> bool:
        """Whether it reads the paper's numbers."""
        return False

    def rows(self) -> Iterator[tuple[Row, str]]:
        """Rows that name things of the study, each with its place below the figure's settings."""
        return iter(())


class TableFigure(FigureInputs[Told]):
    """One that is drawn from a table, whose rows are named and checked there."""

    table: ClassVar[str]

    @classmethod
    def told_by(cls, figures: Section, tables: Section) -> Told | None:
        """The table, unless a switch of the figure's name is off."""
        found: Told | None = getattr(tables, cls.table)
        return found if getattr(figures, cls.name, True) else None

    @classmethod
    def missing(cls) -> str:
        """The table."""
        return f"reporting.tables.{cls.table}"


class GridFigure(TableFigure[Grid]):
    """Of the grid of token counts and sizes."""

    table = "table4"

    @property
    def scores(self) -> tuple[str, ...]:
        """All of the grid's."""
        return self.told.scores
