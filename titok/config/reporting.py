"""What a study shows: which scores become which table, figure and check. Names of things are the study's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import model_validator

from titok.config.figure_inputs import FigureInputs
from titok.config.figures import FEWEST_PLACES, FIGURES, Figures
from titok.config.hard_and_soft import TokenKinds
from titok.config.rows import CurveRun, Grid, LengthTable, Row, Table
from titok.config.section import Neutral, PositiveFloat, Section
from titok.config.working_checks import Checks

TableName = Literal[
    "table1",
    "table2",
    "table3a",
    "table3b",
    "table3c",
    "table4",
    "table5",
    "sampling_rules",
    "model_zoo",
    "adaptive_length",
    "token_kinds",
]
PanelName = Literal["table4a", "table4b", "table4c", "table4d"]
"""The grid's parts as tables of their own: rFID, linear probe, gFID, speed."""


class Tables(Section):
    """The paper's tables; a table that is left out is not made."""

    table1: Table | None = None
    """Variants: tokens, codebook, rFID, gFID, inception score, steps, speed, parameters."""
    table2: Table | None = None
    """The same at 512 pixels."""
    table3a: Table | None = None
    """The ladder from the base to the final tokenizer."""
    table3b: Table | None = None
    """Mask schedules."""
    table3c: Table | None = None
    """Training paradigms."""
    table4: Grid | None = None
    """Token counts x sizes; also the data of Figure 4."""
    table5: Table | None = None
    """With and without guidance."""
    sampling_rules: Annotated[Table | None, Neutral(None)] = None
    """One generator sampled by several rules: rows that differ in their samplers alone."""
    adaptive_length: Annotated[LengthTable | None, Neutral(None)] = None
    """Every length of tokenizers that have several, beside tokenizers of one; what a length for each image gains."""
    token_kinds: Annotated[TokenKinds | None, Neutral(None)] = None
    """Tokenizers of all kinds: tokens, width, bits, decoder, quality, linear probe, operations, speed, licence."""
    model_zoo: Table | None = None
    """Released tokenizers that the paper's tables do not have."""
    comparison: Literal["orderings", "values"] = "orderings"
    """What the paper's numbers are compared by. `values`: images and feature network are the paper's, so differences
    and judgements stand beside them. `orderings`: they are others, and only the rows' order says something."""

    @model_validator(mode="after")
    def _one_generator_by_several_rules(self) -> Self:
        shown = {(row.tokenizer, row.generator) for row in self.sampling_rules.rows} if self.sampling_rules else set()
        if len(shown) > 1 or any(generator is None for _, generator in shown):
            found = ", ".join(sorted(f"{generator} on {tokenizer}" for tokenizer, generator in shown))
            raise ValueError(
                f"sampling_rules has rows of {found}; its rows compare samplers of one generator: name the same in all"
            )
        return self

    @property
    def names(self) -> tuple[TableName, ...]:
        """The tables wanted."""
        return tuple(name for name in get_args(TableName) if getattr(self, name) is not None)

    @property
    def probes_lengths(self) -> bool:
        """Whether a table shows probes of every length."""
        return self.adaptive_length is not None and self.adaptive_length.linear_probe

    @property
    def panels(self) -> tuple[PanelName, ...]:
        """The parts of the grid that its settings give numbers to."""
        grid = self.table4
        if grid is None:
            return ()
        wanted = {"table4a": True, "table4b": grid.linear_probe, "table4c": grid.generators, "table4d": grid.generators}
        return tuple(name for name in get_args(PanelName) if wanted[name])

    @property
    def files(self) -> tuple[TableName | PanelName, ...]:
        """Everything there is a file of: the tables, and the grid's parts once more."""
        return (*self.names, *self.panels)

    def rows(self, name: TableName | PanelName) -> tuple[Row, ...]:
        """The rows of a table; of the grid and its panels, its cells."""
        wanted = self.table4 if name in get_args(PanelName) else getattr(self, name)
        if isinstance(wanted, Grid):
            return tuple(cell.row for cell in wanted.cells())
        return () if wanted is None else wanted.rows

    def scores(self, name: TableName | PanelName) -> tuple[str, ...]:
        """Score files (below `scores/`, without seed) that a table is made from."""
        if name in get_args(PanelName):
            kind = {"table4a": "reconstruction/", "table4b": "probe/"}.get(name, "generation/")
            return tuple(stem for stem in self.scores("table4") if stem.startswith(kind))
        if name == "adaptive_length" and self.adaptive_length:
            return self.adaptive_length.scores
        if name == "token_kinds" and self.token_kinds:
            return self.token_kinds.scores
        if name == "table4" and self.table4:
            return self.table4.scores
        return tuple(dict.fromkeys(stem for row in self.rows(name) for stem in row.scores))


class Reporting(Section):
    """Tables, figures and checks of a study."""

    tables: Tables = Tables()
    figures: Figures = Figures()
    checks: Checks = Checks()
    notes: tuple[str, ...] = ()
    """Paragraphs for the report: what readers should know about this study's protocol."""
    figure_dpi: PositiveFloat = 160
    """Resolution of the PNG files."""

    @model_validator(mode="after")
    def _places_have_a_correlation(self) -> Self:
        places = sum(row.generator is not None for row in self.tables.rows("table4"))
        if self.figures.rfid_against_gfid and places < FEWEST_PLACES:
            raise ValueError(
                f"figures.rfid_against_gfid is true, but {places} places of tables.table4 have a generator; a rank "
                f"correlation takes {FEWEST_PLACES} at least: add generators to the grid, or set it to false"
            )
        return self

    @property
    def wanted_figures(self) -> dict[str, FigureInputs[Any]]:
        """The figures wanted, by name, in the order the report shows them."""
        told = {name: kind.told_by(self.figures, self.tables) for name, kind in FIGURES.items()}
        return {name: FIGURES[name](own) for name, own in told.items() if own}

    def references(self) -> Iterator[tuple[str, str, str]]:
        """(kind, name, where it is written) of every tokenizer, generator, sampler and classifier named."""
        for row, where in self._rows():
            for kind, name in (
                ("tokenizer", row.staged_tokenizer),
                ("generator", row.generator),
                ("sampler", row.sampler),
            ):
                if name:
                    yield kind, name, f"{where}.{kind}"
        for run, where in self._runs():
            for kind, name in (
                ("tokenizer", run.staged_tokenizer),
                ("generator", run.generator),
                ("classifier", run.classifier),
            ):
                if name:
                    yield kind, name, f"{where}.{kind}"

    def stages(self) -> Iterator[tuple[str, str, str]]:
        """(tokenizer, stage, where) of every stage whose results are shown."""
        for row, where in self._rows():
            if row.staged_tokenizer:
                yield row.staged_tokenizer, row.stage, f"{where}.stage"
        for run, where in self._runs():
            if run.staged_tokenizer:
                yield run.staged_tokenizer, run.stage, f"{where}.stage"

    def runs(self) -> Iterator[tuple[str, str, str]]:
        """(generator, sampler, where) of every pair whose samples are shown."""
        for row, where in self._rows():
            if row.generator and row.sampler:
                yield row.generator, row.sampler, f"{where}.sampler"

    def pairs(self) -> Iterator[tuple[str, str, str]]:
        """(tokenizer, generator, where) of every row that shows both."""
        for row, where in self._rows():
            if row.tokenizer and row.generator:
                yield row.tokenizer, row.generator, where

    def _rows(self) -> Iterator[tuple[Row, str]]:
        """Every row with its key path."""
        for name in self.tables.names:
            for index, row in enumerate(self.tables.rows(name)):
                place = "" if name == "table4" else f".rows.{index}"
                yield row, f"reporting.tables.{name}{place}"
        for figure in self.wanted_figures.values():
            yield from ((row, f"{figure.key}{place}") for row, place in figure.rows())

    def _runs(self) -> Iterator[tuple[CurveRun, str]]:
        """Every training whose log is shown, with its key path."""
        for figure in self.wanted_figures.values():
            yield from ((run, f"{figure.key}.{index}") for index, run in enumerate(figure.runs))
