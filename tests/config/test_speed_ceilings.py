"""No speed of the paper is more than its A100 could do in the arithmetic that we measure it in.

Run: pytest tests/config/test_speed_ceilings.py
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from config.studies import ROOT

from titok.config.claims import load_claims
from titok.config.load import load_study
from titok.config.rows import Row
from titok.config.study import Study
from titok.config.study_models import generator_model, tokenizer_model
from titok.config.throughput import Throughput
from titok.evaluation.throughput import sampling_operations
from titok.models.image_tokenizer import ImageTokenizer
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.reporting.paper import read_paper
from titok.training.operations import PEAKS

STUDIES = {name: load_study(ROOT / "config" / f"{name}.yaml") for name in ("imagenet256", "imagenet512", "published")}
PAPER = read_paper(ROOT / "config" / "paper.csv")
SPEED = "samples_per_second_a100"


def made_rows(study: Study) -> dict[str, Row]:
    """Row of the paper -> ours that has a generator, where the paper names a speed."""
    named = [(row.paper, row) for table in study.reporting.tables.names for row in study.reporting.tables.rows(table)]
    return {paper: row for paper, row in named if paper and row.generator and PAPER.value(paper, SPEED)}


def ceiling(study: Study, row: Row, arithmetic: str) -> float:
    """Images per second of an A100 that does nothing but the row's operations, at its peak."""
    generator = str(row.generator)
    tokenizer = study.generators[generator].tokenizer
    if tokenizer == "vqgan":
        assert study.vqgan is not None
        model = on_meta(VQGAN, study.vqgan.model)
    else:
        model = on_meta(TiTok, tokenizer_model(study, tokenizer, study.tokenizers[tokenizer].stages[-1]))
    sampler = study.samplers[str(row.sampler)]
    operations = sampling_operations(generator_model(study, generator), model, sampler)
    return PEAKS["A100"][arithmetic] / operations


def on_meta(family: Callable[[Any], ImageTokenizer], config: Any) -> ImageTokenizer:
    with torch.device("meta"):
        return family(config)


def arithmetic_of(settings: Throughput) -> str:
    """As `PEAKS` calls it."""
    return "half" if settings.precision != "fp32" else "tf32" if settings.tf32 else "fp32"


PLACES = [(name, paper) for name, study in STUDIES.items() for paper in made_rows(study)]


@pytest.mark.parametrize(("name", "paper"), PLACES)
def test_the_papers_speed_is_below_the_ceiling(name: str, paper: str) -> None:
    study = STUDIES[name]
    assert study.throughput is not None
    found = PAPER.value(paper, SPEED)
    assert found is not None
    assert ceiling(study, made_rows(study)[paper], arithmetic_of(study.throughput)) > found.value


def test_in_plain_float32_it_would_not_be() -> None:
    """C2's table: operations alone forbid it."""
    study, rows = STUDIES["imagenet256"], made_rows(STUDIES["imagenet256"])
    assert ceiling(study, rows["table1/titok-l-32"], "fp32") == pytest.approx(35.8, abs=0.1)
    assert ceiling(study, rows["table1/titok-l-32"], "tf32") == pytest.approx(286.8, abs=0.5)
    assert ceiling(study, rows["table1/titok-b-64"], "fp32") < 89.8


def test_every_claim_about_a_speed_is_looked_at() -> None:
    claims = [claim for claim in load_claims(ROOT / "config" / "claims.yaml") if f"'{SPEED}'" in (claim.expected or "")]
    rows = {row for claim in claims for row in re.findall(r"paper\('(table[12]/[^']+)'", claim.expected or "")}
    assert {"table1/titok-l-32", "table1/titok-b-64", "table1/maskgit-vqgan"} <= rows
    assert rows <= {paper for _, paper in PLACES}
