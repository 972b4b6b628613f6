"""What must hold among the published numbers of config/paper.csv, and between them and the claims that quote them.

Run: pytest tests/reporting/test_paper_numbers.py
"""

from __future__ import annotations

import math
import re

import pytest
from config.studies import ROOT

from titok.config.claims import Claim, load_claims
from titok.reporting.paper import PaperValue, read_paper

PAPER = read_paper(ROOT / "config" / "paper.csv")
CLAIMS = load_claims(ROOT / "config" / "claims.yaml")
ONE_NUMBER = re.compile(r"paper\('([^']+)', '([^']+)'\)")
"""An expected value that is one published number."""


def number(row: str, column: str) -> float:
    found = PAPER.value(row, column)
    assert found is not None, f"{row} has no {column}"
    return found.value


def source(row: str, column: str) -> str:
    table, _, name = row.partition("/")
    frame = PAPER.frame
    chosen = (frame["table"] == table) & (frame["row"] == name) & (frame["column"] == column)
    [found] = frame.loc[chosen, "source"]
    return str(found)


def test_every_number_is_there_once_and_says_where_it_is_from() -> None:
    frame = PAPER.frame
    assert not frame.duplicated(["table", "row", "column"]).any()
    assert set(frame["confidence"]) == {"high", "medium", "low"}
    assert all(math.isfinite(value) and value > 0 for value in frame["value"])
    assert frame["source"].str.len().gt(3).all()


def test_guidance_raises_the_inception_score_and_lowers_gfid() -> None:
    guided, unguided = "table1/titok-l-32", "table5/titok-l-32-no-guidance"
    assert PAPER.value(guided, "inception_score") == PaperValue(199.8, "medium", 6.0)
    assert PAPER.value(unguided, "inception_score") == PaperValue(173.0, "medium", 6.0)
    assert number(guided, "gfid") == 2.77 < number(unguided, "gfid") == 3.15


def test_thirteen_times_rests_on_a_printed_speed_and_not_on_itself() -> None:
    assert PAPER.value("table1/titok-s-128", "samples_per_second_a100") == PaperValue(7.8, "high", 1.2)
    assert "RAR" in source("table1/titok-s-128", "samples_per_second_a100")
    ours, theirs = (number(f"table1/{row}", "samples_per_second_a100") for row in ("titok-s-128", "dit-xl-2"))
    assert ours / theirs == pytest.approx(13.0)


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if claim.expected], ids=lambda claim: claim.id)
def test_a_claim_says_the_number_that_it_is_judged_by(claim: Claim) -> None:
    named = ONE_NUMBER.fullmatch(claim.expected or "")
    said = [float(text) for text in re.findall(r"\d+\.\d+", claim.text)]
    if named and said:
        assert number(*named.groups()) in said
