"""What every figure is: words, and a function from what a study says of it and the files it reads to a drawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from titok.reporting.collect import Scores, read_scores
from titok.reporting.paper import Paper, read_paper
from titok.reporting.style import Drawing


@dataclass(frozen=True)
class Sources:
    """The files that a figure may look at; each is read when it is asked for."""

    score_files: Sequence[Path] = ()
    logs: Sequence[Path] = ()
    images: Sequence[Path] = ()
    paper_file: Path = Path("config/paper.csv")

    @cached_property
    def scores(self) -> Scores:
        """The records."""
        return read_scores(self.score_files)

    @property
    def paper(self) -> Paper:
        """The published numbers."""
        return read_paper(self.paper_file)


@dataclass(frozen=True)
class Figure:
    """A figure of a study; what it is made from, the workflow knows from `titok.config.figures`."""

    name: str
    title: str
    text: str
    """What it shows."""
    alt: str
    """What a person who cannot see it should be told."""
    draw: Callable[[Any, Sources], Drawing]
    """From its settings in the study, or the grid's, and its files."""
    leads: bool = False
    """Whether the page shows it with the headline; all others follow further down."""
