"""The page: self-contained, complete, escaped, well-formed, with working relative links and honest words.

Run: pytest tests/reporting/test_report.py
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from titok.config.reporting import FigureName, Reporting
from titok.reporting.checks import make_checks
from titok.reporting.collect import read_scores
from titok.reporting.figures import make_figure
from titok.reporting.narrative import CAPTIONS, duration, headline, protocol_notes
from titok.reporting.report import make_report
from titok.reporting.tables import make_table
from titok.runtime.files import FileError

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
def page_file(tree, reporting, paper_file) -> Path:
    root = tree.root
    tables = [
        path
        for name in reporting.tables.names
        for path in make_table(name, reporting.tables, tree.scores, paper_file, root / "tables" / name)
    ]
    figures = []
    for name in ("figure4", "classifier_accuracy"):
        figures += make_figure(name, reporting, root / "figures" / name, score_files=tree.scores)
    make_checks(reporting, tree.scores, root / "checks.json")
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
    )
    return root / "report.html"


def test_page(page_file, tree, reporting):
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
    for path in [*tree.scores, *tree.manifests]:
        assert path.relative_to(page_file.parent).as_posix() in targets

    # Texts are escaped, the headline stands before the tables, and every table and check is there.
    assert "<title>Digits &amp; &lt;friends&gt;</title>" in text
    assert "A note of the &lt;study&gt;." in text
    for name in reporting.tables.names:
        assert f'id="{name}"' in text
    assert text.index("digits-rFID falls for every size: TiTok-S 24.00 → 4.55") < text.index('id="tables"')
    assert text.index('id="figure4"') < text.index('id="classifier_accuracy"')
    assert "15 of 15 checks passed" in text
    assert text.count("✓ pass") == 15
    assert 'class="unsure">214.7 ?' in text
    assert "5.39 ± 0.14" in text
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


def test_headline_says_so_when_the_trend_is_broken(tree, reporting):
    assert "falls for every size" in headline(reporting, read_scores(tree.scores))[0]
    for seed in (0, 1):
        tree.edit(f"reconstruction/s8/stage1/seed{seed}", "rfid", 99.0)
    assert "does not fall for every size" in headline(reporting, read_scores(tree.scores))[0]


def test_notes_call_the_measure_by_its_name(tree):
    notes = " ".join(protocol_notes(read_scores(tree.scores), ()))
    assert "digits-rFID" in notes
    assert "no ImageNet FIDs" in notes
    assert "ImageNet" not in " ".join(protocol_notes(read_scores([]), ()))


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (90, "1.5 min"), (7200, "2.0 h")])
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_every_figure_has_a_caption():
    assert set(CAPTIONS) == set(get_args(FigureName))
    assert all(re.search(r"\.$", caption.text) for caption in CAPTIONS.values())
