"""No two places on a page say different things about one number: a reader of HTML compares them.

Run: pytest tests/reporting/test_one_word_per_page.py
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest
from reporting.simulated import PAPER, Simulated, simulate

from titok.commands.claims import scope_of
from titok.config.claims import load_claims
from titok.reporting.claims import judge_claims, write_claims
from titok.reporting.collect import read_scores
from titok.reporting.evidence import Evidence
from titok.reporting.layouts import LAYOUTS
from titok.reporting.outcome import make_outcome
from titok.reporting.paper import read_paper
from titok.reporting.report import make_report

LEDGER = load_claims(PAPER.with_name("claims.yaml"))
WORDS = ("agrees", "differs", "undecided", "not comparable", "not run")


@dataclass
class Rows(HTMLParser):
    """Every table of a page as rows of texts, the first one its head."""

    tables: list[list[list[str]]] = field(default_factory=list)
    places: list[tuple[str, str]] = field(default_factory=list)
    """Of every table: the id of the head above it, and its caption."""
    headline: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._cell: list[str] | None = None
        self._is_headline = False
        self._section = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("h2", "h3"):
            self._section = dict(attrs).get("id") or ""
        elif tag == "table":
            self.tables.append([])
            self.places.append((self._section, ""))
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th", "caption"):
            self._cell = []
        elif tag == "p" and ("class", "headline") in attrs:
            self._is_headline, self._cell = True, []

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None:
            self.tables[-1][-1].append(" ".join("".join(self._cell).split()))
            self._cell = None
        elif tag == "caption" and self._cell is not None:
            self.places[-1] = (self._section, " ".join("".join(self._cell).split()))
            self._cell = None
        elif tag == "p" and self._is_headline and self._cell is not None:
            self.headline.append(" ".join("".join(self._cell).split()))
            self._is_headline, self._cell = False, None


def page_of(study: Simulated) -> Rows:
    reporting, root = study.study.reporting, study.root
    make_outcome(reporting, study.scores, root / "checks.json", planned=study.targets.all_scores())
    scope = scope_of(study.study)
    evidence = Evidence(read_paper(PAPER), {}, read_scores(study.scores), reporting, scope)
    write_claims(judge_claims(LEDGER, evidence), root / "claims.json")
    make_report(
        reporting,
        root / "report.html",
        title="t",
        score_files=study.scores,
        paper_file=PAPER,
        checks_file=root / "checks.json",
        claims_file=root / "claims.json",
    )
    found = Rows()
    found.feed((root / "report.html").read_text(encoding="utf-8"))
    return found


def said_of_numbers(page: Rows, study: Simulated) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """(row of the paper, its column) -> what each place says: (place, word)."""
    said: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    tables = study.study.reporting.tables
    labels = {
        (name, row.label): row.paper
        for name in tables.names
        if name in LAYOUTS
        for row in tables.rows(name)
        if row.paper
    }
    columns = {
        "rFID": "rfid",
        "gFID": "gfid",
        "IS": "inception_score",
        "images/s on an A100": "samples_per_second_a100",
    }
    for (table, _), rows in zip(page.places, page.tables, strict=True):
        head = rows[0]
        for place, name in enumerate(head):
            if name != "verdict":
                continue
            column = columns[re.sub(r" [↓↑]$", "", head[place - 2]).removeprefix("paper ")]
            for row in rows[1:]:
                if row[place]:
                    said[labels[table, row[0]], column].add((f"table, {row[0]}", row[place]))
    by_text = {claim.text: claim for claim in LEDGER}
    for rows in page.tables:
        if rows[0][:2] != ["Verdict", "Claim"]:
            continue
        for row in rows[1:]:
            claim = by_text[row[1]]
            if claim.expected_number and claim.value and claim.value.startswith("ours('"):
                word = re.sub(r"^\W+", "", row[0])
                if word in WORDS[:4]:
                    said[claim.expected_number].add((f"claim {claim.id}", word))
    return said


def numbers_of_ours(page: Rows, study: Simulated) -> dict[tuple[str | None, ...], set[str]]:
    """(subject, metric as the page calls it) -> the texts that stand there, in all tables and the grid."""
    found: dict[tuple[str | None, ...], set[str]] = defaultdict(set)
    tables = study.study.reporting.tables
    for (name, caption), rows in zip(page.places, page.tables, strict=True):
        if name in LAYOUTS and name in tables.names:
            by_label = {row.label: row for row in tables.rows(name)}  # type: ignore[arg-type]
            for line in rows[1:]:
                row = by_label[line[0]]
                for head, text in zip(rows[0][1:], line[1:], strict=True):
                    metric = head.rstrip(" ↓↑")
                    of_samples = re.search(r"gFID|IS|sampling speed", metric)
                    subject = (row.generator, row.sampler) if of_samples else (row.tokenizer, row.stage)
                    if text and re.search(r"FID|IS|sampling speed|PSNR", metric) and not metric.startswith("paper"):
                        found[(*subject, metric)].add(text)
        elif name == "table4" and tables.table4 and re.match(r"4[ac]\. (?!paper|Ours)", caption):
            by_place = {(f"TiTok-{cell.size.upper()}", f"K = {cell.k}"): cell.row for cell in tables.table4.cells()}
            for line in rows[1:]:
                for head, text in zip(rows[0][1:], line[1:], strict=True):
                    row, metric = by_place[line[0], head], caption.split(" ")[1]
                    subject = (row.generator, row.sampler) if "gFID" in metric else (row.tokenizer, row.stage)
                    if text:
                        found[(*subject, metric)].add(text)
    return found


class Shown(NamedTuple):
    """A study as it was made up, and its page."""

    study: Simulated
    page: Rows


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    study = simulate(tmp_path_factory.mktemp("published"), "published")
    return Shown(study, page_of(study))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    study = simulate(tmp_path_factory.mktemp("digits"), "digits")
    return Shown(study, page_of(study))


def contradictions(said: dict[tuple[str, str], set[tuple[str, str]]]) -> list[str]:
    return [f"{key}: {places}" for key, places in said.items() if len({word for _, word in places}) > 1]


def spoil(study: Simulated) -> None:
    """Numbers that tables and claims used to judge by two tolerances, and such that nobody judges."""
    for name, value in (("l-32", 2.27), ("b-64", 1.751), ("s-128", 1.76), ("bl-128-vae", 0.88)):
        study.set(f"reconstruction/{name}/released/seed0", "rfid", value)
    for where, value in (("l-32-vit/l-32", 2.86), ("b-64-vit/b-64", 2.57), ("s-128-uvit/s-128", 2.06)):
        study.set(f"generation/{where}/seed0", "gfid", value)
        study.change(f"generation/{where}/seed0", _narrow)
    study.change("reconstruction/b-64/released/seed0", lambda record: record["subject"].update(num_latent_tokens=65))
    study.set("throughput/b-64-vit/b-64/seed0-*", "sampling_images_per_second", 300.0)


def _narrow(record: dict) -> None:
    gfid = record["metrics"]["gfid"]
    gfid["interval"] = {"low": gfid["value"] - 0.03, "high": gfid["value"] + 0.03, "coverage": 0.95}


def test_the_published_studys_page_says_one_thing_of_each_number(published: Shown) -> None:
    said = said_of_numbers(published.page, published.study)
    assert contradictions(said) == []
    both = [
        places for places in said.values() if {place.split()[0].strip(",") for place, _ in places} == {"table", "claim"}
    ]
    assert len(both) >= 20, "the page must say something twice to be able to contradict itself"
    assert {word for places in said.values() for _, word in places} == {"agrees"}


def test_so_does_the_page_of_a_full_study_trained_here(tmp_path: Path) -> None:
    """ImageNet from scratch, three seeds of everything; some that scatter, and one size that is another one's."""
    study = simulate(tmp_path, "imagenet256", seeds=[42, 43, 44])
    study.set("reconstruction/b-64/stage2/seed42", "rfid", 3.0)
    study.set("generation/s-128-uvit/s-128/seed*", "gfid", 4.0)
    study.change("reconstruction/s-128/stage2/seed*", lambda record: record["subject"].update(codebook_size=1024))
    # 6.59 in Table 3a, 6.6 in Table 4a, each give or take 0.3: one model, which lies between the two edges.
    for seed in (42, 43, 44):
        study.set(f"reconstruction/l32/stage1/seed{seed}", "rfid", 6.895 + 1e-4 * (seed - 43))
    page = page_of(study)
    said = said_of_numbers(page, study)
    assert contradictions(said) == []
    both = [
        places for places in said.values() if {place.split()[0].strip(",") for place, _ in places} == {"table", "claim"}
    ]
    assert len(both) >= 20
    [grid] = [rows for (_, title), rows in zip(page.places, page.tables, strict=True) if "Ours minus" in title]
    cell = next(row for row in grid if row[0] == "TiTok-L")[grid[0].index("K = 32")]
    assert cell.endswith("differs")
    assert {word for _, word in said["table3a/titok-l-32-base", "rfid"]} == {"differs"}
    words = {key: next(iter(places))[1] for key, places in said.items()}
    assert words["table1/titok-l-32", "rfid"] == "agrees"
    assert words["table1/titok-b-64", "rfid"] == "undecided"
    assert words["table1/titok-s-128", "rfid"] == "not comparable"
    found = numbers_of_ours(page, study)
    assert {key: texts for key, texts in found.items() if len(texts) > 1} == {}


def test_so_does_a_page_of_numbers_on_the_edge(tmp_path: Path) -> None:
    study = simulate(tmp_path, "published")
    spoil(study)
    said = said_of_numbers(page_of(study), study)
    assert contradictions(said) == []
    words = {key: next(iter(places))[1] for key, places in said.items()}
    assert words["table1/titok-l-32", "rfid"] == "differs"
    assert words["table1/titok-l-32", "gfid"] == "undecided"
    assert words["model_zoo/titok-bl-128-vae-c16", "rfid"] == "agrees"
    assert words["table1/titok-b-64", "rfid"] == "not comparable"
    assert words["table1/titok-b-64", "samples_per_second_a100"] == "differs"


def test_the_reader_finds_a_contradiction() -> None:
    said = {("table1/titok-l-32", "rfid"): {("table, TiTok-L-32", "agrees"), ("claim rfid-l-32", "differs")}}
    assert len(contradictions(said)) == 1


def test_the_miniatures_page_says_one_thing_of_each_trend(digits: Shown) -> None:
    require_one_word_of_trends(digits.page, "agrees")


def test_so_does_its_page_of_too_few_seeds(tmp_path: Path) -> None:
    study = simulate(tmp_path, "digits")
    for path in study.scores:
        if path.stem not in ("seed0", "seed1") and path.stem.startswith("seed"):
            path.unlink()
    require_one_word_of_trends(page_of(study), "undecided")


def require_one_word_of_trends(page: Rows, wanted: str) -> None:
    """Trends, claims and headline say ``wanted``."""
    trends, claims = {}, {}
    for rows in page.tables:
        for row in rows[1:]:
            if rows[0][:2] == ["Judgement", "Trend"]:
                trends[row[1]] = re.sub(r"^\W+", "", row[0])
            elif rows[0][:2] == ["Verdict", "Claim"]:
                claims[row[1]] = re.sub(r"^\W+", "", row[0])
    falls = {word for text, word in trends.items() if "falls with the number of tokens" in text}
    larger = {word for text, word in trends.items() if text.startswith("For few tokens")}
    assert falls == {claims["For every size, rFID falls with the number of tokens."]} == {wanted}
    assert larger == {claims["For few tokens, a larger tokenizer reconstructs better."]} == {wanted}
    assert ("falls for every size:" in page.headline[0]) == (wanted == "agrees")
    assert ("undecided" in page.headline[0]) == (wanted == "undecided")


@pytest.mark.parametrize(("name", "several"), [("published", 1), ("digits", 5)])
def test_a_number_is_the_same_wherever_it_stands(request: pytest.FixtureRequest, name: str, several: int) -> None:
    """One model has one number of a kind, in whatever table and in the grid."""
    study, page = request.getfixturevalue(name)
    found = numbers_of_ours(page, study)
    assert {key: texts for key, texts in found.items() if len(texts) > 1} == {}
    assert len(found) > 10
    assert repeated(study) >= several


def repeated(study: Simulated) -> int:
    """How many models stand in two tables at least."""
    tables = study.study.reporting.tables
    shown = [
        {pair for row in tables.rows(name) for pair in ((row.tokenizer, row.stage), (row.generator, row.sampler))}
        for name in tables.names
    ]
    pairs = [one & other for place, one in enumerate(shown) for other in shown[:place]]
    return len({subject for pair in pairs for subject in pair if subject[0]})
