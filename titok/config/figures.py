"""What a study says of its figures, and what each is made from: scores, logs, images, and the names it shows.

How they are drawn: `titok.reporting.figures`, where every figure has a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Self, TypeVar

from pydantic import model_validator

from titok.config.figure_inputs import FigureInputs, GridFigure, TableFigure
from titok.config.figure_settings import (
    ImagesByLength,
    Rates,
    Reconstructions,
    Samples,
    TokenAttention,
)
from titok.config.hard_and_soft import HardAndSoft, HardAndSoftTokens
from titok.config.rows import CurveRun, LengthTable, Row
from titok.config.section import Neutral, Section

FEWEST_PLACES = 4
"""Of a grid, behind a rank correlation: of three, one order of six is perfect by chance."""


OfLengths = TypeVar("OfLengths", ImagesByLength, TokenAttention)


class Figures(Section):
    """The figures wanted; those that show the grid come with Table 4."""

    figure2: tuple[Row, ...] = ()
    """Quality against speed: a point per row that has a generator."""
    rates: Rates | None = None
    hard_and_soft: Annotated[HardAndSoft | None, Neutral(None)] = None
    """Hard tokens, soft tokens in fewer and fewer bits, and codecs, in one chart."""
    training_curves: tuple[CurveRun, ...] = ()
    classifier_accuracy: bool = True
    """Whether the grid's reconstructions are read by the study's judge; Inception knows no classes of a study."""
    rfid_against_gfid: Annotated[bool, Neutral(False)] = False
    """Whether the grid's rFIDs and gFIDs are held against each other, with their rank correlation; four places of the
    grid need a generator."""
    quality_against_tokens: Annotated[bool, Neutral(False)] = False
    """Whether the rows of `tables.adaptive_length` are drawn over tokens per image."""
    images_by_length: Annotated[ImagesByLength | None, Neutral(None)] = None
    token_attention: Annotated[TokenAttention | None, Neutral(None)] = None
    reconstructions: Reconstructions | None = None
    samples: Samples | None = None

    @model_validator(mode="after")
    def _points_have_speed(self) -> Self:
        for row in self.figure2:
            if row.generator is None:
                raise ValueError(f"figure2 row {row.label!r} names no generator, so it has no speed; give one")
        return self


class Figure4(GridFigure):
    """The grid's panels."""

    name = "figure4"

    @property
    def shows_paper(self) -> bool:
        """If the grid says so."""
        return self.told.paper_points


class SampleImages(FigureInputs[Samples]):
    """Samples as images."""

    name = "samples"

    @property
    def seed(self) -> int:
        """The one it names."""
        return self.told.seed

    @property
    def images(self) -> tuple[str, ...]:
        """The samples of one generator, sampler and seed."""
        return (f"samples/{self.told.generator}/{self.told.sampler}/seed{self.told.seed}.npz",)

    def rows(self) -> Iterator[tuple[Row, str]]:
        """Its generator and sampler."""
        yield Row(label="samples", generator=self.told.generator, sampler=self.told.sampler), ""


class ReconstructionImages(FigureInputs[Reconstructions]):
    """Reconstructions as images."""

    name = "reconstructions"

    @property
    def seed(self) -> int:
        """The one it names."""
        return self.told.seed

    @property
    def images(self) -> tuple[str, ...]:
        """The examples beside each row's scores."""
        found = (
            f"{row.tokenizer}/{row.stage}/seed{self.seed}" if row.staged_tokenizer else row.tokenizer
            for row in self.told.rows
        )
        return tuple(f"examples/{name}.npz" for name in found)

    def rows(self) -> Iterator[tuple[Row, str]]:
        """Its tokenizers."""
        yield from _placed(self.told.rows, ".rows")


class Figure2(FigureInputs[tuple[Row, ...]]):
    """Quality against speed."""

    name = "figure2"

    @property
    def scores(self) -> tuple[str, ...]:
        """All of its rows'."""
        return tuple(dict.fromkeys(stem for row in self.told for stem in row.scores))

    def rows(self) -> Iterator[tuple[Row, str]]:
        """Its points."""
        yield from _placed(self.told)


class RfidAgainstGfid(GridFigure):
    """The grid's rFIDs and gFIDs against each other."""

    name = "rfid_against_gfid"

    @classmethod
    def missing(cls) -> str:
        """The grid, and its switch."""
        return "reporting.tables.table4 with generators, and reporting.figures.rfid_against_gfid: true"

    @property
    def scores(self) -> tuple[str, ...]:
        """Of reconstructions and samples."""
        return tuple(stem for stem in self.told.scores if not stem.startswith("probe/"))


class BitsAndQuality(FigureInputs[Rates]):
    """Bits per image against quality."""

    name = "rates"

    @property
    def scores(self) -> tuple[str, ...]:
        """Of its tokenizers' and its codecs' reconstructions."""
        codecs = (
            f"reconstruction/{codec}/q{quality}" for codec, chosen in self.told.codecs.items() for quality in chosen
        )
        return tuple(dict.fromkeys([*(row.scores[0] for row in self.told.rows), *codecs]))

    def rows(self) -> Iterator[tuple[Row, str]]:
        """Its tokenizers."""
        yield from _placed(self.told.rows, ".rows")


class QualityAgainstTokens(TableFigure[LengthTable]):
    """The table's rows over tokens per image."""

    name = "quality_against_tokens"
    table = "adaptive_length"

    @classmethod
    def missing(cls) -> str:
        """The table, and its switch."""
        return "reporting.tables.adaptive_length, and reporting.figures.quality_against_tokens: true"

    @property
    def scores(self) -> tuple[str, ...]:
        """Of all their lengths."""
        return self.told.scores


class LengthPictures(FigureInputs[OfLengths]):
    """Pictures beside the scores of lengths; the seed is checked with these."""

    @property
    def images(self) -> tuple[str, ...]:
        """Of one tokenizer, stage and seed."""
        row = self.told.row
        return (f"lengths/{row.tokenizer}/{row.stage}/seed{self.told.seed}.npz",)

    def rows(self) -> Iterator[tuple[Row, str]]:
        """Its tokenizer."""
        yield self.told.row, ".row"


class LengthImages(LengthPictures[ImagesByLength]):
    """Images of few tokens and many."""

    name = "images_by_length"


class AttentionImages(LengthPictures[TokenAttention]):
    """What tokens look at in them."""

    name = "token_attention"


class ClassifierAccuracy(GridFigure):
    """The grid's reconstructions as the study's judge reads them."""

    name = "classifier_accuracy"


class CodebookUse(GridFigure):
    """The grid's codebooks."""

    name = "codebook"


class TrainingCurves(FigureInputs[tuple[CurveRun, ...]]):
    """Losses over steps."""

    name = "training_curves"

    @property
    def runs(self) -> tuple[CurveRun, ...]:
        """Its curves."""
        return self.told


def _placed(rows: tuple[Row, ...], key: str = "") -> Iterator[tuple[Row, str]]:
    yield from ((row, f"{key}.{index}") for index, row in enumerate(rows))


FIGURES: dict[str, type[FigureInputs[Any]]] = {
    kind.name: kind
    for kind in (
        Figure4,
        SampleImages,
        ReconstructionImages,
        Figure2,
        RfidAgainstGfid,
        BitsAndQuality,
        HardAndSoftTokens,
        QualityAgainstTokens,
        LengthImages,
        AttentionImages,
        ClassifierAccuracy,
        CodebookUse,
        TrainingCurves,
    )
}
"""All there are, in the order in which the report shows them."""
