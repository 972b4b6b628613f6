"""Which length each image is given by tokenizers that have several, and how such lengths are measured."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from titok.config.entries import StageName
from titok.config.section import KnownBy, Name, Neutral, PositiveFloat, PositiveInt, Section

Measure = Literal["l1", "psnr", "lpips", "class"]
"""`l1`: mean absolute error below a threshold, officially; `psnr`: above one, in dB; `lpips`: below one. `class`: the
judge of the scores takes the reconstruction for what it takes the image for: an oracle, and without a threshold."""
Otherwise = Literal["best", "longest"]
"""What an image gets that no length satisfies: the length that came nearest, as officially, or the longest."""
Alteration = Literal["mirrored", "quarter_turn", "negative"]
"""`mirrored`: left for right; `quarter_turn`: turned by 90 degrees; `negative`: black for white."""
CLASS_THRESHOLD = 0.5
"""Between a wrong class, 0, and the right one, 1."""


class LengthRule(Section):
    """An image gets the shortest code that is good enough."""

    criterion: Measure = "l1"
    otherwise: Otherwise = "best"
    """What an image gets that no length satisfies: the length that came nearest, as officially, or the longest."""
    lengths: tuple[PositiveInt, ...] = ()
    """Which ones a tokenizer with tail drop may choose from; empty: all from 1 to K. Where a short code is no
    beginning of a long one, all lengths are tried."""


class TokenLengths(LengthRule):
    """By what `titok tokens` chooses lengths."""

    threshold: PositiveFloat


class ComplexityTable(Section):
    """How complex people find the test images: a CSV with columns `image` (its key in the dataset) and `complexity`, as
    the spreadsheets of SAVOIAS hold them."""

    path: Annotated[str, Field(min_length=1), KnownBy("sha256")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """What its SHA-256 must be; null takes the file as it is."""


class SecondImages(Section):
    """Images of another kind than the tokenizers learned, whose lengths are held against those of the test images."""

    label: Annotated[str, Field(min_length=1)]
    """What readers call them."""
    path: Annotated[str | None, Field(min_length=1), KnownBy("sha256")] = None
    """Index of the shards of a prepared split, `test.index.npz`, of any dataset; seen at the study's sizes."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """What the index's SHA-256 must be; null takes the file as it is."""
    altered: Alteration | None = None
    """Instead of a file: the study's own test images, each altered, so that gaps are paired by image."""

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        if (self.path is None) == (self.altered is None):
            raise ValueError(f"path is {self.path!r} and altered {self.altered!r}; give one of the two")
        return self


class AdaptiveLength(LengthRule):
    """Lengths of a study: of its scores, for several thresholds, and of its generators' tokens, for one."""

    thresholds: tuple[PositiveFloat, ...] = ()
    """Each is scored; none with `class`."""
    as_good_as: Annotated[tuple[PositiveInt, ...], Neutral(())] = ()
    """Numbers of tokens K of tokenizers in `beside`: with `thresholds` or instead, the mean of the criterion over
    the test images by each of these, of the same seed. So they fit a dataset and a training that nobody has seen."""
    tokens: PositiveFloat | None = None
    """The threshold by which each training image's tokens get their length; null: the longest code of every image."""
    beside: dict[Name, StageName] = Field(default_factory=dict)
    """Tokenizers of one length, and which stage of each, that choices are held against; their K must lie on both sides
    of the mean length, or there is nothing to hold it against."""
    complexity: Annotated[ComplexityTable | None, Neutral(None)] = None
    second: Annotated[SecondImages | None, Neutral(None)] = None
    """Images of another kind; null: no familiarity gap is measured."""
    jpeg_quality: Annotated[int, Field(ge=1, le=100), Neutral(90)] = 90
    """Of the JPEG files whose sizes lengths are compared with."""

    @property
    def scored(self) -> tuple[float, ...]:
        """All thresholds, from that which asks for the most on."""
        if self.criterion == "class":
            return (CLASS_THRESHOLD,)
        return tuple(sorted(self.thresholds, reverse=self.criterion == "psnr"))

    @property
    def of_tokens(self) -> TokenLengths | None:
        """The rule for generators' tokens."""
        if self.tokens is None:
            return None
        return TokenLengths(**self.model_dump(include=set(LengthRule.model_fields)), threshold=self.tokens)

    @property
    def matched(self) -> tuple[int, ...]:
        """The lengths of `as_good_as`, from that which asks for the most on."""
        return tuple(sorted(self.as_good_as, reverse=True))

    @model_validator(mode="after")
    def _thresholds_fit(self) -> Self:
        given = list(self.thresholds)
        if self.criterion == "class" and (given or self.as_good_as or self.tokens is not None):
            raise ValueError(
                f"criterion is 'class', which knows no threshold, but thresholds is {given}, as_good_as "
                f"{list(self.as_good_as)} and tokens {self.tokens}; leave them out"
            )
        if self.criterion != "class" and not (given or self.as_good_as):
            raise ValueError(
                f"thresholds is empty; give the criterion {self.criterion!r} at least one, or as_good_as, lengths of "
                f"tokenizers in beside"
            )
        if len({f"{one:g}" for one in given}) < len(given):
            raise ValueError(f"thresholds is {given}; list each once: records tell them apart by six digits")
        for key, values in (("thresholds", given), ("as_good_as", self.as_good_as)):
            if len(set(values)) < len(values):
                raise ValueError(f"{key} is {list(values)}; list each once")
        if list(self.lengths) != sorted(set(self.lengths)):
            raise ValueError(f"lengths is {list(self.lengths)}; list each once, from few to many")
        if self.tokens is not None and self.criterion == "lpips":
            raise ValueError(
                "tokens is given and criterion is 'lpips', which only scores have weights for; choose l1 or psnr, or "
                "leave tokens out"
            )
        return self
