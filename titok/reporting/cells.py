"""The parts of a table: cells that know how sure they are, blocks of rows, and how numbers are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

from titok.records.metric import Metric, described
from titok.reporting.collect import Statistic
from titok.reporting.infinite_n import ENDING
from titok.reporting.paper import PaperValue

if TYPE_CHECKING:
    from titok.config.reporting import Tables


_COLUMNS: dict[str, Metric] = {
    "num_latent_tokens": Metric("tokens K", "neither", decimals=0),
    "codebook_size": Metric("codebook", "neither", decimals=0),
    "num_steps": Metric("steps", "neither", decimals=0),
    "guidance_scale": Metric("guidance", "neither", decimals=1),
    "samples_per_second_a100": Metric("images/s on an A100", "higher", decimals=1),
    "train_samples_per_second_per_a100": Metric("images/s per A100", "higher", decimals=1),
    "generator_params_m": Metric("generator parameters", "neither", decimals=0),
}
"""What tables show beside metrics: a study's settings, and the paper's numbers in units of its own."""

ARROWS = {"lower": " ↓", "higher": " ↑"}


@dataclass(frozen=True)
class Cell:
    """Text of one place of a table. `unsure` is shown in grey with a question mark."""

    text: str
    style: Literal["plain", "paper", "unsure", "empty"] = "plain"


EMPTY = Cell("", "empty")

PAPER_NOTE = (
    "Numbers marked 'paper (ImageNet)' are the published ones, on another dataset, with another feature network and on "
    "another machine: compare orderings, not values. A number in grey with '?' was never confirmed, one with '†' is "
    "known from a secondary source or derived from a printed ratio."
)

VALUES_NOTE = (
    "Numbers marked 'paper' are the published ones. A number of ours agrees with the paper's if its whole "
    "interval lies within the tolerance (config/paper.csv), differs if all of it lies outside, and is undecided "
    "otherwise. The interval (95 %) is that of one more repetition, which the paper's number is: over seeds, "
    "three at least; of released weights, over sets of samples. A number by another protocol or on another device "
    "is not comparable. A number in grey with '?' was never confirmed and judges nothing, one with '†' is known "
    "from a secondary source or derived from a printed ratio."
)


def paper_prefix(tables: Tables) -> str:
    """What stands before the heads of the paper's columns."""
    return "paper" if tables.comparison == "values" else "paper (ImageNet)"


def paper_note(tables: Tables) -> str:
    """What must be read with numbers of the paper."""
    return VALUES_NOTE if tables.comparison == "values" else PAPER_NOTE


@dataclass(frozen=True)
class Block:
    """Rows under one head; the first column names the row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Table:
    """A table of the paper with our numbers.

    Attributes:
        name: as in the paper: `table1`.
        blocks: what people read; most tables have one.
        data: what programs read: a long frame with the numbers of every cell.
        notes: sentences below the table.
    """

    name: str
    title: str
    blocks: Sequence[Block]
    data: pd.DataFrame
    notes: Sequence[str] = ()
    paper_note: str = ""
    """Where numbers of the paper stand in it: what must be read with them, e.g. :data:`PAPER_NOTE`."""

    @property
    def all_notes(self) -> list[str]:
        """What to print below a table that stands alone."""
        return [*self.notes, *([self.paper_note] if self.paper_note else [])]


def heading(metric: str, label: Metric | None = None) -> str:
    """A column's head: the records' own name of the metric, its unit and the direction that is better."""
    shown = label or _COLUMNS.get(metric) or described(metric)
    unit = "%" if shown.in_percent else label.unit if label else ""
    return f"{shown.label}{f' ({unit})' if unit else ''}{ARROWS.get(shown.better, '')}"


def number(metric: str, value: float) -> str:
    """A value as tables write it: fixed decimals, shares in percent, large counts as k and M."""
    known = _COLUMNS.get(metric) or described(metric)
    if not math.isfinite(value):
        return "not finite"
    if value < 0 and metric.endswith(ENDING):
        return "below 0"  # no distance is; the line ends within its own error of none
    if metric in ("parameters", "generator_parameters"):
        return count(value)
    scaled = value * 100 if known.in_percent else value
    if known.decimals == 0 and scaled != int(scaled):
        return f"{scaled:,.1f}".replace(",", " ")  # a mean of whole numbers
    # Large values are known to fewer decimals than small ones.
    decimals = min(known.decimals, 1) if abs(scaled) >= 100 else known.decimals
    text = f"{scaled:,.{decimals}f}".replace(",", " ")
    return f"{scaled:.2g}" if known.unit == "GFLOP" and float(text.replace(" ", "")) == 0 != scaled else text


def count(value: float) -> str:
    """A number of things to three digits: 812, 45.1 k, 177 M."""
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.0f}"


ROUNDING = 1e-12
"""Of a mean over seeds, as a share of it."""


def our_cell(metric: str, found: Statistic | None) -> Cell:
    """Mean over seeds, with ± the sample standard deviation where there are several; of one, its interval if known."""
    if found is None:
        return EMPTY
    mean = number(metric, found.mean)
    if found.interval is not None:
        return Cell(f"{mean} [{number(metric, found.interval.low)}, {number(metric, found.interval.high)}]")
    # The mean of equal counts may miss them by its last bit, which is no scatter of seeds.
    has_spread = found.n > 1 and math.isfinite(found.std) and found.std > ROUNDING * abs(found.mean)
    return Cell(f"{mean} ± {number(metric, found.std)}" if has_spread else mean)


def paper_cell(column: str, found: PaperValue | None) -> Cell:
    """The paper's number; nothing where it is not known, grey with `?` where it was never confirmed, with a dagger
    where a secondary source has it."""
    if found is None:
        return EMPTY
    suffix = " M" if column == "generator_params_m" else ""
    text = f"{number(column, found.value)}{suffix}"
    if not found.is_sure:
        return Cell(f"{text} ?", "unsure")
    return Cell(text if found.confidence == "high" else f"{text} †", "paper")


def difference_cell(metric: str, value: float) -> Cell:
    """Ours minus the paper's, with its sign."""
    sign = "+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else ""
    return Cell(f"{sign}{number(metric, abs(value))}")
