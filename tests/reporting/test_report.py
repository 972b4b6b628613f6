"""The page: self-contained, complete, escaped, well-formed, with working relative links and honest words.

Run: pytest tests/reporting/test_report.py
"""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from titok.config.claims import load_claims
from titok.config.figures import FIGURES as INPUTS
from titok.config.reporting import Reporting
from titok.config.working_checks import Checks
from titok.reporting.claims import judge_claims, write_claims
from titok.reporting.collect import read_scores
from titok.reporting.evidence import Evidence
from titok.reporting.figures.figure import Sources
from titok.reporting.figures.gallery import FIGURES, make_figure
from titok.reporting.judgement import all_of
from titok.reporting.narrative import duration, headline, protocol_notes
from titok.reporting.outcome import make_outcome
from titok.reporting.paper import read_paper
from titok.reporting.report import make_report
from titok.reporting.tables import make_table
from titok.reporting.trends import study_trends
from titok.runtime.files import FileError

LEDGER = Path(__file__).parents[2] / "config" / "claims.yaml"
VOID = {"meta", "img", "wbr", "br", "link"}


class Page(HTMLParser):
    """Elements of a page; notes tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.unbalanced: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.unbalanced += self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(tag)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def page_file(seeded, reporting, paper_file) -> Path:
    return write_page(seeded, reporting, paper_file, ("figure4", "classifier_accuracy"))


def unlinked(text: str) -> str:
    """Without the links from words to their meaning."""
    return re.sub(r'<a class="term"[^>]*>([^<]*)</a>', r"\1", text)


def write_page(tree, reporting, paper_file, drawn: tuple[str, ...] = ()) -> Path:
    """With all tables, and the figures ``drawn``."""
    root = tree.root
    tables = [
        path
        for name in reporting.tables.names
        for path in make_table(name, reporting.tables, tree.scores, paper_file, root / "tables" / name)
    ]
    figures = []
    for name in drawn:
        figures += make_figure(name, reporting, root / "figures" / name, Sources(tree.scores))
    make_outcome(reporting, tree.scores, root / "checks.json")
    evidence = Evidence(read_paper(paper_file), {}, read_scores(tree.scores), reporting)
    write_claims(judge_claims(load_claims(LEDGER), evidence), root / "claims.json")
    make_report(
        reporting.model_copy(update={"notes": ("A note of the <study>.",)}),
        root / "report.html",
        title="Digits & <friends>",
        description="A description.",
        score_files=tree.scores,
        paper_file=paper_file,
        manifest_files=tree.manifests,
        figure_files=[path for path in figures if path.suffix == ".svg"],
        table_files=tables,
        checks_file=root / "checks.json",
        claims_file=root / "claims.json",
    )
    return root / "report.html"


def test_page(page_file, seeded, reporting):
    text = page_file.read_text(encoding="utf-8")
    page = Page(text)
    assert page.unbalanced == []
    assert page.all("html")[0]["lang"] == "en"
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text

    # Self-contained: pictures inside, no scripts, nothing fetched from elsewhere.
    pictures = page.all("img")
    assert len(pictures) == 2
    assert all(str(picture["src"]).startswith("data:image/svg+xml;base64,") for picture in pictures)
    assert all(len(str(picture["alt"])) > 20 for picture in pictures)
    assert not page.all("script")
    assert not page.all("link")
    assert "http://" not in text.replace("http://www.w3.org", "")

    # Every link leads to a file beside the page, or to a place on it.
    anchors = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    targets = [str(link["href"]) for link in page.all("a")]
    for target in targets:
        assert target.removeprefix("#") in anchors if target.startswith("#") else (page_file.parent / target).is_file()
    for path in [*seeded.scores, *seeded.manifests]:
        assert path.relative_to(page_file.parent).as_posix() in targets

    # Words are explained where they first stand, and once more at the end; table heads count, too.
    assert text.index('href="#word-rfid-and-gfid"') < text.index('id="figure4"')
    assert text.count('href="#word-rfid-and-gfid"') == 1
    assert re.search(r'7 of 7 <a class="term" href="#word-working-check"[^>]*>working checks</a> passed', text)
    assert re.search(r'8 of 8 <a class="term" href="#word-trend"[^>]*>trends</a> hold', text)
    assert all(f'<div id="word-{name}"><dt>' in text for name in ("rfid-and-gfid", "psnr", "linear-probe", "judge"))
    assert 'id="word-ro-crate"' not in text, "nothing here speaks of it"

    # Texts are escaped, the headline stands before the tables, and every table and check is there.
    text = unlinked(text)
    assert "<title>Digits &amp; &lt;friends&gt;</title>" in text
    assert "A note of the &lt;study&gt;." in text
    for name in reporting.tables.names:
        assert f'id="{name}"' in text
    assert text.index("digits-rFID falls for every size: TiTok-S 23.91 → 4.63") < text.index('id="tables"')
    assert text.index('id="figure4"') < text.index('id="classifier_accuracy"')
    assert "<strong>More tokens, larger models.</strong>" in text
    assert "7 of 7 working checks passed" in text
    assert text.count("✓ pass") == 7
    assert "8 of 8 trends hold" in text
    assert text.index('id="checks"') < text.index('id="trends"') < text.index('id="claims"')
    assert 'class="unsure">214.7\xa0?' in text
    assert "5.36\xa0±\xa00.08" in text
    assert "Test CPU, 2 CPUs" in text
    assert "0123456789" in text
    assert all(head["scope"] in ("row", "col") for head in page.all("th"))


def test_report_names_what_is_not_there(tree, reporting, paper_file, tmp_path):
    with pytest.raises(FileError, match=r"figure4\.svg does not exist"):
        make_report(
            reporting,
            tmp_path / "report.html",
            title="t",
            score_files=tree.scores,
            paper_file=paper_file,
            figure_files=[tmp_path / "figure4.svg"],
        )
    assert not (tmp_path / "report.html").exists()


def test_a_study_without_tables_still_has_a_page(tree, paper_file, tmp_path):
    make_report(Reporting(), tmp_path / "r.html", title="t", score_files=tree.scores[:1], paper_file=paper_file)
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert page.unbalanced == []


def words_of(tree, reporting, paper_file) -> tuple[str, str, str]:
    """What headline, list of trends and ledger say about rFID and the number of tokens."""
    scores = read_scores(tree.scores)
    trends = [trend for trend in study_trends(reporting, scores) if trend.name.startswith("rfid_falls_with_k")]
    [claim] = [claim for claim in load_claims(LEDGER) if claim.id == "more-tokens-reconstruct-better"]
    [finding] = judge_claims([claim], Evidence(read_paper(paper_file), {}, scores, reporting))
    return headline(reporting, scores)[0], all_of([trend.judgement for trend in trends]).word, finding.verdict


def test_headline_trends_and_claims_say_one_word(seeded, reporting, paper_file):
    said, *words = words_of(seeded, reporting, paper_file)
    assert "digits-rFID falls for every size: TiTok-S" in said
    assert words == ["agrees", "agrees"]

    # First and last K alone say 'falls': K = 8 is worse than K = 4 beyond doubt.
    for seed in range(5):
        seeded.edit(f"reconstruction/s8/stage1/seed{seed}", "rfid", 15.0 + 0.1 * seed)
    said, *words = words_of(seeded, reporting, paper_file)
    assert "digits-rFID does not fall for every size (TiTok-S rises from K = 4 to 8): TiTok-S 23.91 → 15.20" in said
    assert words == ["differs", "differs"]

    # The same means, and nobody can tell.
    for seed in range(5):
        seeded.edit(f"reconstruction/s8/stage1/seed{seed}", "rfid", 10.0 * (1 + 0.9 * math.sin(2 * seed)))
        seeded.edit(f"reconstruction/s1/stage1/seed{seed}", "rfid", 10.0 * (1 + 0.9 * math.sin(3 * seed)))
    said, *words = words_of(seeded, reporting, paper_file)
    assert "it is undecided whether digits-rFID falls for every size (5 seeds do not tell" in said
    assert words == ["undecided", "undecided"]


def test_two_seeds_decide_no_headline(tree, reporting, paper_file):
    said, *words = words_of(tree, reporting, paper_file)
    assert "undecided whether digits-rFID falls for every size (2 seeds; at least 3 are needed)" in said
    assert words == ["undecided", "undecided"]


def test_the_headline_speaks_of_the_samples_that_are_shown(tree, reporting):
    tree.edit("generation/l2-vit/eight/seed0", "class_agreement", 0.61)
    assert headline(reporting, read_scores(tree.scores))[-1] == (
        "Of the samples shown here (l2-vit, sampler eight), 61.0 % are read as the class asked for."
    )
    figures = reporting.figures.model_copy(update={"samples": None})
    other = reporting.model_copy(update={"figures": figures})
    assert "Of the samples read best (l8-vit, sampler eight), 94.5 %" in headline(other, read_scores(tree.scores))[-1]


def test_a_page_whose_checks_are_switched_off_is_not_green(tree, reporting, paper_file):
    quiet = reporting.model_copy(update={"checks": Checks(enabled=False)})
    text = unlinked(write_page(tree, quiet, paper_file).read_text(encoding="utf-8"))
    assert '<span class="tag">2 of 2 working checks passed</span> The study has switched off the other' in text
    assert 'class="tag pass">2 of 2' not in text


def test_a_failed_check_and_an_open_trend_are_named(tree, reporting, paper_file):
    tree.edit("reconstruction/s8/stage1/seed0", "classifier_accuracy", 0.2)
    text = unlinked(write_page(tree, reporting, paper_file).read_text(encoding="utf-8"))
    assert '<span class="tag fail">6 of 7 working checks passed</span>' in text
    assert '(failed: <a href="#checks">reconstructions_read</a>)' in text
    assert "0 of 8 trends hold" in text
    assert text.count("2 seeds; at least 3 are needed") >= 8


def test_notes_call_the_measure_by_its_name(tree):
    notes = " ".join(protocol_notes(read_scores(tree.scores), ()))
    assert "digits-rFID" in notes
    assert "no ImageNet FIDs" in notes
    assert "ImageNet" not in " ".join(protocol_notes(read_scores([]), ()))


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (90, "1.5 min"), (7200, "2.0 h")])
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_every_figure_that_a_study_may_want_is_drawn_in_the_same_order_and_has_a_caption():
    assert list(FIGURES) == list(INPUTS)
    assert all(figure.text.endswith(".") and figure.alt.endswith(".") for figure in FIGURES.values())
