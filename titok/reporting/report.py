"""The study's page: one HTML file that carries everything it shows and links to where every number comes from."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from titok.reporting.cells import paper_note
from titok.reporting.checks import Check, shown_value
from titok.reporting.claims import read_findings
from titok.reporting.claims_text import SIGNS, TONES, claim_groups, claims_summary
from titok.reporting.collect import Scores, read_scores
from titok.reporting.figures.gallery import FIGURES
from titok.reporting.glossary import Explainer
from titok.reporting.judgement import shown
from titok.reporting.judges import build_judges
from titok.reporting.narrative import facts, headline, protocol_notes
from titok.reporting.once import Once
from titok.reporting.outcome import SWITCHED_OFF, Outcome, read_outcome
from titok.reporting.paper import read_paper
from titok.reporting.runs import read_manifests
from titok.reporting.speeds import own_protocol
from titok.reporting.tables import build_table
from titok.reporting.trends import Trend
from titok.reporting.writers import html_table
from titok.runtime.files import FileError, write_text

if TYPE_CHECKING:
    from titok.config.reporting import Reporting

PIXELS_PER_POINT = 96 / 72
ENLARGED = 1.15
"""Screens show figures a little larger than paper does."""
WIDE = 6 * 72
"""Points; a figure wider than this scrolls on phones instead of shrinking."""


@dataclass(frozen=True)
class Link:
    """A file beside the page."""

    href: str
    text: str


@dataclass(frozen=True)
class Picture:
    """A figure inside the page."""

    name: str
    title: str
    caption: str
    alt: str
    uri: str
    width: int | None
    """CSS pixels it is shown with at most."""
    is_wide: bool
    """Whether its letters become too small on a phone."""
    links: Sequence[Link]


def make_report(
    reporting: Reporting,
    output: str | Path,
    *,
    title: str,
    description: str = "",
    score_files: Iterable[str | Path],
    paper_file: str | Path,
    manifest_files: Iterable[str | Path] = (),
    figure_files: Iterable[str | Path] = (),
    table_files: Iterable[str | Path] = (),
    checks_file: str | Path | None = None,
    claims_file: str | Path | None = None,
) -> None:
    """Writes the page.

    Args:
        figure_files: the SVG of each figure, drawn before; the CSV and PNG beside it are linked.
        table_files: CSV, Markdown and LaTeX of the tables, to be linked; what is shown is built from the scores.
        checks_file: ``checks.json``; null leaves the section out.
        claims_file: ``claims.json``; null leaves the section out.
    """
    output = Path(output)
    score_paths, manifest_paths = list(map(Path, score_files)), list(map(Path, manifest_files))
    figure_files, table_files = list(figure_files), list(table_files)
    scores = read_scores(score_paths)
    once = Once()
    for path in map(Path, [*figure_files, *table_files]):
        once.note(path.name, path, f"files called {path.name}")
    pictures = {path.stem: picture(path, output.parent) for path in map(Path, figure_files)}
    outcome = read_outcome(checks_file) if checks_file else Outcome([], [])
    findings = read_findings(claims_file) if claims_file else []
    groups = {
        "Scores": score_paths,
        "Training runs": manifest_paths,
        "Checks": [Path(checks_file)] if checks_file else [],
        "Claims": [Path(claims_file)] if claims_file else [],
    }
    tables = _tables(reporting, scores, paper_file, list(map(Path, table_files)), output.parent)
    page = {
        "title": title,
        "description": description,
        "css": Markup(_resource("report.css")),
        "headline": headline(reporting, scores),
        "lead_figures": [pictures[name] for name, figure in FIGURES.items() if figure.leads and name in pictures],
        "figures": [found for name, found in pictures.items() if not FIGURES[name].leads],
        "facts": facts(scores, read_manifests(manifest_paths)),
        "tables": tables,
        "outcome": outcome,
        "switched_off": "" if outcome.all_checked else SWITCHED_OFF,
        "checks": [_check_row(check) for check in outcome.working],
        "trends": [_trend_row(trend) for trend in outcome.trends],
        "claims": claim_groups(findings),
        "claims_summary": claims_summary(findings),
        "paper_note": paper_note(reporting.tables),
        "notes": protocol_notes(scores, reporting.notes),
        "protocols": _protocols(scores),
        "file_groups": [
            {"name": name, "files": [link(path, output.parent) for path in paths]}
            for name, paths in groups.items()
            if paths
        ],
    }
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    explainer = Explainer()
    in_tables = " ".join(Markup(table["html"]).striptags() for table in tables)
    environment.filters["explained"] = explainer
    page["words"] = lambda: explainer.terms(also=in_tables)
    write_text(output, environment.from_string(_resource("report.html")).render(page))


def _resource(name: str) -> str:
    """Text of a file that lies in this package."""
    return (files("titok.reporting") / name).read_text(encoding="utf-8")


def link(path: Path, page_folder: Path, text: str | None = None) -> Link:
    """A link that works wherever the results folder is moved to."""
    relative = Path(os.path.relpath(path, page_folder)).as_posix()
    return Link(relative, text or relative)


def picture(path: Path, page_folder: Path) -> Picture:
    """An SVG file as part of the page, at most as wide as it was drawn."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileError(f"{path} does not exist; draw the figure first, or leave it out of the report") from None
    figure = FIGURES[path.stem]
    found = re.search(rb'width="([0-9.]+)pt"', data)
    points = float(found[1]) if found else 0.0
    width = round(points * PIXELS_PER_POINT * ENLARGED) if found else None
    links = [link(path.with_suffix(f".{end}"), page_folder, end.upper()) for end in ("csv", "svg", "png")]
    uri = f"data:image/svg+xml;base64,{base64.b64encode(data).decode()}"
    return Picture(path.stem, figure.title, figure.text, figure.alt, uri, width, points > WIDE, links)


def _tables(
    reporting: Reporting, scores: Scores, paper_file: str | Path, written: Sequence[Path], page_folder: Path
) -> list[dict[str, Any]]:
    paper = read_paper(paper_file)
    shown = []
    for name in reporting.tables.names:
        table = build_table(name, reporting.tables, scores, paper)
        own = [path for path in written if path.stem == name]
        links = [link(path, page_folder, path.suffix.removeprefix(".").upper()) for path in own]
        shown.append({"name": name, "title": table.title, "html": Markup(html_table(table)), "links": links})
    judges = build_judges(scores)
    if judges is not None:
        html = Markup(html_table(judges))
        shown.append({"name": judges.name, "title": judges.title, "html": html, "links": []})
    return shown


def _protocols(scores: Scores) -> list[dict[str, Any]]:
    """Each protocol with the kinds of scores, and the speeds, it belongs to, as key and value."""
    frame = scores.frame
    grouped = frame.groupby("protocol_id", sort=False)["kind"]
    of = {str(identifier): list(kinds.unique()) for identifier, kinds in grouped}
    for metric, label in scores.labels.items():
        for identifier in frame[own].dropna().unique() if (own := own_protocol(metric)) in frame else ():
            of.setdefault(identifier, []).append(label.label)
    return [
        {
            "id": identifier,
            "kinds": " and ".join(names).replace("_", " "),
            "entries": [(key, str(value)) for key, value in scores.protocols[str(identifier)].items()],
        }
        for identifier, names in of.items()
    ]


def _check_row(check: Check) -> dict[str, Any]:
    return {**asdict(check), "breakable_name": _breakable(check.name), "shown": shown_value(check)}


def _trend_row(trend: Trend) -> dict[str, Any]:
    word = trend.judgement.word
    return {**asdict(trend), "sign": SIGNS.get(word, ""), "tone": TONES.get(word, ""), "shown": shown(trend.judgement)}


def _breakable(name: str) -> Markup:
    """Long names may break after these signs, on narrow screens."""
    return Markup(re.sub(r"([_/])", r"\1<wbr>", str(Markup.escape(name))))
