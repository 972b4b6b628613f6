"""What stands beside a number of the paper is of the architecture that the number belongs to.

Run: pytest tests/config/test_compared_architectures.py
"""

from __future__ import annotations

import re

import pytest
from config.studies import ROOT

from titok.config.claims import load_claims
from titok.config.load import load_study
from titok.config.rows import PROXY_TOKENIZER, Row
from titok.config.study import Study
from titok.reporting.paper import read_paper

PAPER = read_paper(ROOT / "config" / "paper.csv")
CLAIMS = {claim.id: claim for claim in load_claims(ROOT / "config" / "claims.yaml")}
STUDIES = ("imagenet256", "imagenet512", "published")
TITOK_2D = "table3c/taming-vqgan-recipe-2d"
"""By the author a 2D TiTok, whatever the row is called."""


def papers(row: str) -> str:
    """Architecture of a row of the paper."""
    if row == TITOK_2D:
        return "2D TiTok"
    return "convolutional VQGAN" if row.endswith("/maskgit-vqgan") else "TiTok"


def ours(study: Study, row: Row) -> str:
    """Architecture of a row of ours that shows a model."""
    if row.tokenizer in study.tokenizers and study.tokenizers[row.tokenizer].latents == "patches":
        return "2D TiTok"
    is_vqgan = row.tokenizer == PROXY_TOKENIZER or row.stage == "vqgan_2d"
    return "convolutional VQGAN" if is_vqgan else "TiTok"


@pytest.mark.parametrize("name", STUDIES)
def test_rows_and_the_papers_are_of_one_architecture(name: str) -> None:
    study = load_study(ROOT / "config" / f"{name}.yaml")
    tables = study.reporting.tables
    compared = [row for table in tables.names for row in tables.rows(table) if row.paper and row.scores]
    assert compared
    assert [row.label for row in compared if ours(study, row) != papers(str(row.paper))] == []


def test_claims_ask_for_rows_of_the_paper() -> None:
    asked = {
        claim.id: re.findall(r"ours\('([^']+)'", " ".join((claim.holds or "", claim.value or "", claim.expected or "")))
        for claim in CLAIMS.values()
    }
    assert all(row.partition("/")[2] in PAPER.rows(row.partition("/")[0]) for rows in asked.values() for row in rows)


def test_one_dimension_is_compared_with_two_of_the_same_transformers() -> None:
    """The rows behind the claim differ in where their tokens are and in how many there are, in nothing else."""
    study = load_study(ROOT / "config" / "imagenet256.yaml")
    rows = {row.paper: row for row in study.reporting.tables.rows("table3c") if row.paper}
    one, two = (study.tokenizers[str(rows[name].tokenizer)] for name in ("table3c/single-stage-1d", TITOK_2D))
    found = {name for name in type(one).model_fields if getattr(one, name) != getattr(two, name)}
    assert found == {"latents", "num_latent_tokens"}
    assert TITOK_2D in str(CLAIMS["one-dimension-beats-two"].holds)
