"""What a study shows: which scores become which table, figure and check. Names of things are the study's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from titok.config.rows import PROXY_TOKENIZER, Codec, CurveRun, Grid, Quality, Row, Table
from titok.config.section import Name, Neutral, NonNegativeInt, PositiveFloat, PositiveInt, Section
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
]
PanelName = Literal["table4a", "table4b", "table4c", "table4d"]
"""The grid's parts as tables of their own: rFID, linear probe, gFID, speed."""
FigureName = Literal[
    "figure4",
    "figure2",
    "rfid_against_gfid",
    "rates",
    "classifier_accuracy",
    "codebook",
    "quality_against_tokens",
    "images_by_length",
    "training_curves",
    "reconstructions",
    "samples",
]


FEWEST_PLACES = 4
"""Of a grid, behind a rank correlation: of three, one order of six is perfect by chance."""


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
    adaptive_length: Annotated[Table | None, Neutral(None)] = None
    """Every length of tokenizers that have several, beside tokenizers of one; what a length for each image gains."""
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
        if name == "adaptive_length":
            return tuple(dict.fromkeys(f"lengths/{row.tokenizer}/{row.stage}" for row in self.rows(name)))
        found = [stem for row in self.rows(name) for stem in row.scores]
        if name == "table4" and self.table4 and self.table4.linear_probe:
            found += [f"probe/{cell.row.tokenizer}" for cell in self.table4.cells()]
        return tuple(dict.fromkeys(found))


class Reconstructions(Section):
    """Test images above their reconstructions."""

    rows: tuple[Row, ...]
    """Tokenizers from top to bottom, under the originals."""
    num_images: PositiveInt = 10
    seed: NonNegativeInt = 0
    """Which seed's tokenizers."""

    @property
    def examples(self) -> tuple[str, ...]:
        """Example files below `examples/`, one per row: `l2/stage2/seed0`, `vqgan`."""
        return tuple(
            PROXY_TOKENIZER if row.tokenizer == PROXY_TOKENIZER else f"{row.tokenizer}/{row.stage}/seed{self.seed}"
            for row in self.rows
        )

    @model_validator(mode="after")
    def _rows_reconstruct(self) -> Self:
        for row in self.rows:
            if row.tokenizer is None:
                raise ValueError(f"row {row.label!r} of the reconstructions names no tokenizer; give one")
        return self


class Samples(Section):
    """Class-conditional samples, one row per class, the first ones drawn; nobody picks any."""

    generator: Name
    sampler: Name
    seed: NonNegativeInt = 0
    per_class: PositiveInt = 10
    classes: dict[NonNegativeInt, str] = Field(default_factory=dict)
    """Which classes, from top to bottom, and what readers call them; empty: all, by their numbers."""


class ImagesByLength(Section):
    """The images that a tokenizer gave the fewest tokens and the most, at every length."""

    row: Row
    num_images: Annotated[int, Field(ge=2, le=16)] = 12
    """Half of them of the fewest tokens."""
    seed: NonNegativeInt = 0

    @property
    def pictures(self) -> str:
        """File below `lengths/`, without its ending."""
        return f"{self.row.tokenizer}/{self.row.stage}/seed{self.seed}"


class Rates(Section):
    """Bits per image against quality: tokenizers, and ordinary codecs for reference."""

    rows: tuple[Row, ...]
    """Tokenizers with a codebook."""
    codecs: dict[Codec, tuple[Quality, ...]] = Field(default_factory=dict)
    """Qualities (1 to 100) at which the test images are written as JPEG or WebP."""

    @model_validator(mode="after")
    def _rows_reconstruct(self) -> Self:
        for row in self.rows:
            if row.tokenizer is None:
                raise ValueError(f"row {row.label!r} of the rates names no tokenizer; give one")
        return self

    @property
    def scores(self) -> tuple[str, ...]:
        """Score files below `scores/`, without seed."""
        codecs = (f"reconstruction/{codec}/q{quality}" for codec, chosen in self.codecs.items() for quality in chosen)
        return tuple(dict.fromkeys([*(row.scores[0] for row in self.rows), *codecs]))


class Figures(Section):
    """The figures wanted; those that show the grid come with Table 4."""

    figure2: tuple[Row, ...] = ()
    """Quality against speed: a point per row that has a generator."""
    rates: Rates | None = None
    training_curves: tuple[CurveRun, ...] = ()
    classifier_accuracy: bool = True
    """Whether the grid's reconstructions are read by the study's judge; Inception knows no classes of a study."""
    rfid_against_gfid: Annotated[bool, Neutral(False)] = False
    """Whether the grid's rFIDs and gFIDs are held against each other, with their rank correlation; four places of the
    grid need a generator."""
    quality_against_tokens: Annotated[bool, Neutral(False)] = False
    """Whether the rows of `tables.adaptive_length` are drawn over tokens per image."""
    images_by_length: Annotated[ImagesByLength | None, Neutral(None)] = None
    reconstructions: Reconstructions | None = None
    samples: Samples | None = None

    @model_validator(mode="after")
    def _points_have_speed(self) -> Self:
        for row in self.figure2:
            if row.generator is None:
                raise ValueError(f"figure2 row {row.label!r} names no generator, so it has no speed; give one")
        return self


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
    def figure_names(self) -> tuple[FigureName, ...]:
        """The figures wanted, in the order the report shows them."""
        grid = self.tables.table4 is not None
        wanted: dict[FigureName, object] = {
            "figure4": grid,
            "samples": self.figures.samples,
            "reconstructions": self.figures.reconstructions,
            "figure2": self.figures.figure2,
            "rfid_against_gfid": grid and self.figures.rfid_against_gfid,
            "rates": self.figures.rates,
            "quality_against_tokens": self.tables.adaptive_length and self.figures.quality_against_tokens,
            "images_by_length": self.figures.images_by_length,
            "classifier_accuracy": grid and self.figures.classifier_accuracy,
            "codebook": grid,
            "training_curves": self.figures.training_curves,
        }
        return tuple(name for name, is_wanted in wanted.items() if is_wanted)

    def figure_scores(self, name: FigureName) -> tuple[str, ...]:
        """Score files (below `scores/`, without seed) that a figure is made from."""
        if name in ("figure4", "classifier_accuracy", "codebook"):
            return self.tables.scores("table4")
        if name == "rfid_against_gfid":
            return tuple(stem for stem in self.tables.scores("table4") if not stem.startswith("probe/"))
        if name == "quality_against_tokens":
            return self.tables.scores("adaptive_length")
        if name == "figure2":
            return tuple(dict.fromkeys(stem for row in self.figures.figure2 for stem in row.scores))
        if name == "rates" and self.figures.rates:
            return self.figures.rates.scores
        return ()

    def references(self) -> Iterator[tuple[str, str, str]]:
        """(kind, name, where it is written) of every tokenizer, generator, sampler and classifier named."""
        for row, where in self._rows():
            for kind, name in (("tokenizer", row.tokenizer), ("generator", row.generator), ("sampler", row.sampler)):
                if name and name != PROXY_TOKENIZER:
                    yield kind, name, f"{where}.{kind}"
        for index, run in enumerate(self.figures.training_curves):
            where = f"reporting.figures.training_curves.{index}"
            for kind, name in (
                ("tokenizer", run.tokenizer),
                ("generator", run.generator),
                ("classifier", run.classifier),
            ):
                if name and name != PROXY_TOKENIZER:
                    yield kind, name, f"{where}.{kind}"

    def stages(self) -> Iterator[tuple[str, str, str]]:
        """(tokenizer, stage, where) of every stage whose results are shown."""
        for row, where in self._rows():
            if row.tokenizer and row.tokenizer != PROXY_TOKENIZER:
                yield row.tokenizer, row.stage, f"{where}.stage"
        for index, run in enumerate(self.figures.training_curves):
            if run.tokenizer and run.tokenizer != PROXY_TOKENIZER:
                yield run.tokenizer, run.stage, f"reporting.figures.training_curves.{index}.stage"

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
        for index, row in enumerate(self.figures.figure2):
            yield row, f"reporting.figures.figure2.{index}"
        for index, row in enumerate(self.figures.rates.rows if self.figures.rates else ()):
            yield row, f"reporting.figures.rates.rows.{index}"
        if self.figures.reconstructions:
            for index, row in enumerate(self.figures.reconstructions.rows):
                yield row, f"reporting.figures.reconstructions.rows.{index}"
        if self.figures.images_by_length:
            yield self.figures.images_by_length.row, "reporting.figures.images_by_length.row"
        if self.figures.samples:
            chosen = self.figures.samples
            row = Row(label="samples", generator=chosen.generator, sampler=chosen.sampler)
            yield row, "reporting.figures.samples"
