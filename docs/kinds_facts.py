"""Findings about hard and soft tokens, study beside study: differences of rows, paired by seed, from the evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from titok.reporting.estimates import Estimate, Seeds, combine
from titok.reporting.numbers import Run, What
from titok.reporting.numbers_file import read_numbers

EVIDENCE = Path(__file__).parent / "evidence"


class Row(NamedTuple):
    """A row of `reporting.tables.token_kinds`."""

    tokenizer: str
    stage: str = "single_stage"


class Question(NamedTuple):
    """What a first row is less a second one, in each study by its own names."""

    text: str
    rows: Mapping[str, tuple[Row, Row]]


def _floor(name: str) -> Row:
    return Row(name, "floor")


def _frozen(name: str) -> Row:
    return Row(name, "soft_decoder")


QUESTIONS = (
    Question(
        "2D ids less as many 1D ids",
        {"hard_soft": (Row("patches-4"), Row("titok-4")), "cifar10": (Row("b-2d"), Row("b16-single"))},
    ),
    Question(
        "mean patches less 2D ids of as many bits",
        {"hard_soft": (_floor("means-4"), Row("patches-4")), "cifar10": (_floor("means-16"), Row("b-2d"))},
    ),
    Question(
        "FSQ less a learnt codebook",
        {"hard_soft": (Row("fsq-4"), Row("titok-4")), "cifar10": (Row("fsq-16"), Row("b16-single"))},
    ),
    Question(
        "latents of a VAE less as many ids",
        {"hard_soft": (Row("vae-4"), Row("titok-4")), "cifar10": (Row("vae-16"), Row("b16-single"))},
    ),
    Question(
        "no KL term less one",
        {"hard_soft": (Row("autoencoder-4"), Row("vae-4")), "cifar10": (Row("autoencoder-16"), Row("vae-16"))},
    ),
    Question(
        "a VAE's channels in 4 bits less as they are",
        {
            "hard_soft": (Row("vae-8", "single_stage-4bit"), Row("vae-8")),
            "cifar10": (Row("vae-16", "single_stage-4bit"), Row("vae-16")),
        },
    ),
    Question(
        "four tokens of a frozen classifier less four of Lite0",
        {
            "hard_soft": (_frozen("tower-4"), _frozen("lite0-4")),
            "cifar10": (_frozen("tower-4"), _frozen("lite0-4")),
        },
    ),
    Question(
        "sixteen tokens of a frozen classifier less four",
        {
            "hard_soft": (_frozen("tower-16"), _frozen("tower-4")),
            "cifar10": (_frozen("tower-16"), _frozen("tower-4")),
        },
    ),
    Question(
        "tokens of a frozen classifier less ids",
        {"hard_soft": (_frozen("tower-4"), Row("titok-4")), "cifar10": (_frozen("tower-16"), Row("b16-single"))},
    ),
    Question(
        "16 tokens of the VQGAN's frozen encoder less those of a frozen classifier",
        {
            "hard_soft": (_frozen("vqgan-soft-16"), _frozen("tower-16")),
            "cifar10": (_frozen("vqgan-soft-16"), _frozen("tower-16")),
        },
    ),
)
METRICS = {"rfid": "rFID", "psnr": "PSNR, dB"}


def kinds_head(studies: Sequence[str]) -> tuple[str, ...]:
    """Column heads of the table."""
    return ("difference", "of", *(f"in {study}" for study in studies), "in both")


def kinds_rows(studies: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """A row for every question and metric."""
    runs = {study: read_numbers(EVIDENCE / study / "numbers.csv") for study in studies}
    for question in QUESTIONS:
        for metric, label in METRICS.items():
            found = [_difference(runs[study], question.rows[study], metric) for study in studies]
            yield (question.text, label, *map(_shown, found), _agreement(found))


def _difference(run: Run, rows: tuple[Row, Row], metric: str) -> Estimate:
    return combine([_seeds(run, row, metric) for row in rows], [1.0, -1.0])


def _seeds(run: Run, row: Row, metric: str) -> Seeds:
    what = What("reconstruction", *row)
    found = {key.seed: float(one.value) for key, one in run.numbers.items() if key[::2] == (what, metric)}
    if not found:
        raise KeyError(f"the evidence of {run.study} has no {metric} of {what}")
    return found


def _side(found: Estimate) -> int:
    """-1, 1, or 0 where the interval holds 0."""
    if not found.is_known or abs(found.value) <= found.half_width():
        return 0
    return int(math.copysign(1, found.value))


def _shown(found: Estimate) -> str:
    half = found.half_width()
    return f"{found.value:.3g} [{found.value - half:.3g}, {found.value + half:.3g}]"


def _agreement(found: Sequence[Estimate]) -> str:
    sides = {_side(one) for one in found}
    if 0 in sides:
        return "undecided"
    return "the same" if len(sides) == 1 else "opposite"
