"""The figure that shows hard and soft tokens over the bits that an image takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from titok.config.figure_inputs import FigureInputs
from titok.config.quantization import ChannelBits, quantized_stage
from titok.config.rows import PROXY_TOKENIZER, Codec, Quality, Row, Table
from titok.config.section import Section

UNTRAINED = ("external", "floor")
"""Stages of rows that no model of the study is behind."""


class TokenKinds(Table):
    """Tokenizers of all kinds side by side."""

    linear_probe: bool = False
    """Whether their latents are probed."""
    costs: bool = True
    """Whether operations are counted, and speed and memory measured."""

    @model_validator(mode="after")
    def _rows_reconstruct(self) -> Self:
        for row in self.rows:
            if row.tokenizer is None:
                raise ValueError(f"row {row.label!r} of token_kinds names no tokenizer; give one")
        return self

    @property
    def scores(self) -> tuple[str, ...]:
        """Score files below `scores/`, without seed."""
        models = [row for row in self.rows if row.stage not in UNTRAINED]
        probes = [f"probe/{row.tokenizer}" for row in models] if self.linear_probe else []
        costs = [row.scores[0].replace("reconstruction/", "costs/", 1) for row in models] if self.costs else []
        return tuple(dict.fromkeys([*(row.scores[0] for row in self.rows), *probes, *costs]))


class HardAndSoft(Section):
    """Bits per image against rFID, PSNR and a linear probe: a point per hard row, a curve per soft one."""

    hard: tuple[Row, ...] = ()
    """Tokenizers with a codebook, floors, and others' programs that say their bits."""
    soft: tuple[Row, ...] = ()
    """Tokenizers without one; each is scored with its channels rounded to every number of `bits`."""
    bits: Annotated[tuple[ChannelBits, ...], Field(min_length=1)] = (8, 7, 6, 5, 4, 3, 2, 1)
    """Of a channel."""
    codecs: dict[Codec, tuple[Quality, ...]] = Field(default_factory=dict)
    """As in `rates`."""
    probed: tuple[Row, ...] = ()
    """Which of the rows have a linear probe, drawn over their bits; soft tokens as float16."""

    @model_validator(mode="after")
    def _rows_reconstruct(self) -> Self:
        for row in (*self.hard, *self.soft):
            if row.tokenizer is None:
                raise ValueError(f"row {row.label!r} of hard_and_soft names no tokenizer; give one")
        for row in self.soft:
            if row.tokenizer == PROXY_TOKENIZER:
                raise ValueError(f"row {row.label!r} of hard_and_soft.soft is the VQGAN, which has a codebook")
        strangers = [row.label for row in self.probed if row not in (*self.hard, *self.soft)]
        if strangers:
            raise ValueError(f"probed of hard_and_soft has {strangers}, which are not among its hard and soft rows")
        return self

    def curve(self, row: Row) -> tuple[str, ...]:
        """The stages under which a soft row's points are scored, from many bits to few."""
        return tuple(quantized_stage(row.stage, bits) for bits in sorted(set(self.bits), reverse=True))

    @property
    def scores(self) -> tuple[str, ...]:
        """Stems of everything that is drawn."""
        points = [f"reconstruction/{row.tokenizer}/{stage}" for row in self.soft for stage in self.curve(row)]
        codecs = [f"reconstruction/{codec}/q{quality}" for codec, all_of in self.codecs.items() for quality in all_of]
        probes = [f"probe/{row.tokenizer}" for row in self.probed]
        return tuple(dict.fromkeys([*(row.scores[0] for row in self.hard), *points, *codecs, *probes]))


class HardAndSoftTokens(FigureInputs[HardAndSoft]):
    """What the figure is made from."""

    name = "hard_and_soft"

    @property
    def scores(self) -> tuple[str, ...]:
        """Of every row, of every point of its curves, and of codecs."""
        return self.told.scores

    def rows(self) -> Iterator[tuple[Row, str]]:
        """Its tokenizers; those that are probed are among them."""
        for place, rows in (("hard", self.told.hard), ("soft", self.told.soft)):
            yield from ((row, f".{place}.{index}") for index, row in enumerate(rows))
