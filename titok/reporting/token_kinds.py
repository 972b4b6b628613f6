"""Table 'token_kinds': tokenizers of all kinds side by side: what they store, what comes back, what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from titok.records.record import Kind
from titok.reporting.cells import EMPTY, Block, Cell, Table, heading, number, our_cell
from titok.reporting.collect import Scores, Statistic
from titok.reporting.estimates import Estimate, Seeds
from titok.reporting.layouts import Column
from titok.reporting.paper import PaperValue
from titok.reporting.table_notes import interval_note, seeds_note
from titok.reporting.token_bits import HALF, bits_of_ids

if TYPE_CHECKING:
    from titok.config.hard_and_soft import TokenKinds
    from titok.config.rows import Row

TITLE = "Hard and soft tokens"
QUALITY = ("rfid", "psnr", "ssim", "lpips", "classifier_accuracy", "detections_preserved")
PROBES = tuple(
    f"linear_probe_top1_{of}_{pooling}" for of in ("bottleneck", "width") for pooling in ("mean", "concatenate")
)
COSTS = ("parameters", "encode_gflop", "decode_gflop")
SPEEDS = ("encode_images_per_second", "decode_images_per_second", "peak_memory_mib")
FLOORS = ("patches", "regions")
DECODERS = {**dict.fromkeys(FLOORS, "none"), "external": "its own", "frozen_encoder": "trained on frozen tokens"}
"""By recipe; all others are trained with their encoder."""
UNTRAINED = ("external", "floor")
"""Stages of rows without a model of the study: no probe reads them, and nobody times them."""
NOTE = (
    "Hard tokens take K log2 V bits or what their row says, soft tokens K numbers of the width in float16; the figure "
    "draws fewer. Operations are counted, of one image; speeds and memory are of one device with nothing else on it, "
    "from images on the host to tokens on the host and back."
)


@dataclass(frozen=True)
class _Numbers:
    """A column, one number per row."""

    column: Column
    head: str
    ours: Sequence[Statistic | None]
    theirs: Sequence[PaperValue | None] = field(default=())
    known: Sequence[Seeds | Estimate | None] = field(default=())


@dataclass(frozen=True)
class _Stored:
    """What one image becomes in a row's tokenizer."""

    label: str
    kind: str
    tokens: float
    codebook: float
    width: float
    bits: float
    decoder: str
    licence: str

    def cells(self) -> list[Cell]:
        """In the order of `HEADS`."""
        counts = zip(
            ("num_latent_tokens", "codebook_size", "num_latent_tokens", "bits_per_image"),
            (self.tokens, self.codebook, self.width, self.bits),
            strict=True,
        )
        numbers = [EMPTY if math.isnan(value) else Cell(number(name, value)) for name, value in counts]
        return [Cell(self.label), Cell(self.kind), *numbers, Cell(self.decoder), Cell(self.licence)]


HEADS = ("", "kind", "tokens K", "codebook", "width", "bits per image", "decoder", "licence")


def build_token_kinds(wanted: TokenKinds, scores: Scores) -> Table:
    """Blocks: what is stored, what comes back and is read, what it costs.

    Raises:
        MissingScore: a row has no score.
        NotComparableError: a column would hold numbers that were measured in two ways.
    """
    stored = [_stored(row, scores, wanted.costs) for row in wanted.rows]
    quality = [_column(metric, "reconstruction", wanted.rows, scores) for metric in QUALITY]
    probes = [_column(metric, "linear_probe", wanted.rows, scores) for metric in PROBES] if wanted.linear_probe else []
    if wanted.linear_probe and not any(_has_numbers(column) for column in probes):
        probes = [_column("linear_probe_top1", "linear_probe", wanted.rows, scores)]
    costs = [_column(metric, "costs", wanted.rows, scores) for metric in (*COSTS, *SPEEDS)] if wanted.costs else []
    blocks = [
        Block("What is stored", list(HEADS), [one.cells() for one in stored]),
        _block("What comes back, and what a linear probe reads", [*quality, *probes], wanted.rows),
        _block("What it costs", costs, wanted.rows),
    ]
    labels = [row.label for row in wanted.rows]
    seeds = [pair for column in quality for pair in zip(labels, column.ours, strict=True)]
    notes = [NOTE, *interval_note([*quality, *probes, *costs]), *seeds_note(seeds)]
    data = pd.DataFrame(list(_data(wanted.rows, stored, [*quality, *probes, *costs])))
    title = wanted.title or TITLE
    return Table("token_kinds", title, [block for block in blocks if block.rows], data, notes)


def _records(kind: Kind, row: Row, scores: Scores) -> pd.DataFrame | None:
    """A row's records of a kind; None where it can have none."""
    if kind != "reconstruction" and row.stage in UNTRAINED:
        return None
    if row.tokenizer == "vqgan" or kind == "linear_probe":
        return scores.select(kind, tokenizer=row.tokenizer)
    return scores.select(kind, tokenizer=row.tokenizer, stage=row.stage)


def _stored(row: Row, scores: Scores, has_costs: bool) -> _Stored:
    found = _records("reconstruction", row, scores)
    assert found is not None, "every row has reconstructions"
    first, recipe = found.iloc[0], str(found.iloc[0].get("recipe"))
    costs = _records("costs", row, scores) if has_costs else None
    width = _number(None if costs is None else costs.iloc[0].get("latent_width"))
    codebook, tokens = _number(first.get("codebook_size")), _number(first.get("num_latent_tokens"))
    is_soft = not math.isnan(width) or (math.isnan(codebook) and recipe not in FLOORS)
    if is_soft:
        codebook, bits = math.nan, _number(first.get("bits_per_image")) if math.isnan(width) else tokens * width * HALF
    else:
        bits = bits_of_ids(first, row.label)
    kind = "floor" if recipe in FLOORS else "soft" if is_soft else "hard"
    licence = first.get("licence")
    said = licence if isinstance(licence, str) else "of its release" if recipe == "released" else "trained here"
    return _Stored(row.label, kind, tokens, codebook, width, bits, DECODERS.get(recipe, "own"), said)


def _number(value: Any) -> float:
    """NaN for what is not stated, and for the 0 of a codebook that is not there."""
    return math.nan if value is None or not float(value) else float(value)


def _column(metric: str, kind: Kind, rows: Sequence[Row], scores: Scores) -> _Numbers:
    records = [_records(kind, row, scores) for row in rows]
    used = [part[part[metric].notna()] for part in records if part is not None and metric in part]
    column, head = Column(metric, kind, is_fact=metric in COSTS), heading(metric, scores.label(metric))
    if used and not column.is_fact:
        scores.require_one_protocol(pd.concat(used), head, metric)
    return _Numbers(column, head, [None if part is None else scores.statistic(part, metric) for part in records])


def _has_numbers(column: _Numbers) -> bool:
    return any(value is not None for value in column.ours)


def _block(title: str, columns: Sequence[_Numbers], rows: Sequence[Row]) -> Block:
    """Rows and columns that have something to show."""
    kept = [column for column in columns if _has_numbers(column)]
    lines = [
        [Cell(row.label), *(our_cell(column.column.metric, column.ours[index]) for column in kept)]
        for index, row in enumerate(rows)
    ]
    heads = ["", *(column.head for column in kept)]
    return Block(title, heads, [line for line in lines if any(cell is not EMPTY for cell in line[1:])])


def _data(rows: Sequence[Row], stored: Sequence[_Stored], columns: Sequence[_Numbers]) -> Iterator[dict[str, Any]]:
    """A line per row: what is stored; of every metric mean, spread, span and number over seeds."""
    for index, (row, one) in enumerate(zip(rows, stored, strict=True)):
        line: dict[str, Any] = {**vars(one), "tokenizer": row.tokenizer, "stage": row.stage}
        for column in columns:
            found, name = column.ours[index], column.column.metric
            if found is not None:
                line |= {f"{name}_mean": found.mean, f"{name}_std": found.std, f"{name}_n": found.n}
                line |= {f"{name}_min": found.minimum, f"{name}_max": found.maximum}
            if found is not None and found.interval is not None:
                line |= {f"{name}_low": found.interval.low, f"{name}_high": found.interval.high}
        yield line
