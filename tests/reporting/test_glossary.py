"""Words are explained where they first stand on a page, and all of them in docs/glossary.md.

Run: pytest tests/reporting/test_glossary.py
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from titok.reporting.glossary import TERMS, Explainer, glossary_markdown

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"
MET_UNEXPLAINED = ("proxy codes", "judge", "critic", "adopt", "views", "RO-Crate", "milestone")
"""By somebody who came to this project new."""


def linked(text: str) -> list[str]:
    return re.findall(r'<a class="term"[^>]*>([^<]*)</a>', text)


def test_every_word_has_one_entry_here_and_in_the_documentation() -> None:
    names = [term.name for term in TERMS]
    assert len({term.anchor for term in TERMS}) == len(names)
    assert set(MET_UNEXPLAINED) <= set(names)
    assert glossary_markdown() in GLOSSARY.read_text(encoding="utf-8")


def test_the_first_occurrence_alone_is_linked() -> None:
    explain = Explainer()
    first = explain("The judge reads what the <critic> saw, says the judge.")
    assert linked(first) == ["judge", "critic"]
    assert "the &lt;<a" in first
    assert 'href="#word-judge" title="The classifier whose features' in first
    assert linked(explain("A judge and a milestone")) == ["milestone"]
    assert [term.name for term in explain.terms()] == ["judge", "critic", "milestone"]
    assert [term.name for term in explain.terms(also="PSNR (dB) ↑")] == ["judge", "critic", "PSNR", "milestone"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("digits-rFID falls", ["digits-rFID"]),
        ("gFID and IS", ["gFID", "IS"]),
        ("4 x 4 proxy codes, 2 to 8 latent tokens", ["proxy codes", "latent tokens"]),
        ("a proxy VQGAN", ["proxy VQGAN"]),
        ("Decoder fine-tuning lowers it", ["Decoder fine-tuning"]),
        ("it is judged, and prejudges THIS; codebooks-like reviews", ["codebooks"]),
        ("nothing to explain", []),
    ],
)
def test_forms_of_words(text: str, found: list[str]) -> None:
    assert linked(Explainer()(text)) == found


def test_texts_without_words_are_escaped_as_they_are() -> None:
    assert Explainer()("a < b & c") == "a &lt; b &amp; c"
