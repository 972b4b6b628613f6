"""The page of a comparison: one HTML file that needs no network and no other file."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from titok.reporting.compare import GOOD, VERDICTS, Difference
from titok.reporting.compare_figures import over_k, scatter
from titok.reporting.compare_text import notes, origin, shown, shown_difference, verdict_line
from titok.reporting.numbers import Run
from titok.reporting.style import figure_style
from titok.runtime.files import write_text

_MEANINGS = {
    "differ": "Further apart than seeds are, or, for sums of weights and samples, other bits where equal ones are due.",
    "not judged": "Different; there are too few seeds and no interval to say whether that is noise.",
    "only in A": "The other run has nothing of this name.",
    "only in B": "The other run has nothing of this name.",
    "not comparable": "Measured by another protocol, or bits of two runs that cannot have the same ones.",
    "within noise": "No further apart than seeds are, or, with fewer than three, than other images would move them.",
    "equal": "Bit for bit.",
}
_CAPTIONS = {
    "over K": "Means over seeds, bars from the lowest to the highest seed. A: full lines; B: dashed, open markers.",
    "A against B": "A point per model or sample set, its standard deviation over seeds as bars; on the line both runs "
    "have the same number. Metrics that differ most come first.",
}


def write_page(path: Path, a: Run, b: Run, differences: Sequence[Difference]) -> None:
    """Writes the page of two runs and what ``compare_runs`` found."""
    figures = {"over K": over_k(a, b, differences), "A against B": scatter(differences)}
    page = {
        "css": Markup(_resource("report.css")),
        "runs": [("A", a.name, origin(a)), ("B", b.name, origin(b))],
        "summary": verdict_line(differences),
        "notes": notes(a, b, differences),
        "figures": [
            {"title": title, "uri": svg_uri(figure), "caption": _CAPTIONS[title]}
            for title, figure in figures.items()
            if figure is not None
        ],
        "groups": _groups(differences),
    }
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    write_text(path, environment.from_string(_resource("compare.html")).render(page))


def svg_uri(figure: Figure) -> str:
    """A figure as a data URI, the same bytes for the same numbers."""
    stream = io.BytesIO()
    with figure_style():
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _groups(differences: Sequence[Difference]) -> list[dict[str, Any]]:
    """Rows by verdict; what is alike is folded away."""
    counts = Counter(one.verdict for one in differences)
    return [
        {
            "verdict": verdict,
            "meaning": _MEANINGS[verdict],
            "is_open": verdict not in GOOD,
            "tone": "pass" if verdict in GOOD else "fail" if verdict == "differ" else "",
            "rows": [_row(one) for one in differences if one.verdict == verdict],
        }
        for verdict in VERDICTS
        if counts[verdict]
    ]


def _row(one: Difference) -> dict[str, str]:
    a, b = shown(one)
    return {
        "label": one.label,
        "what": str(one.what),
        "a": a,
        "b": b,
        "difference": shown_difference(one),
        "relative": f"{one.relative:.2%}" if one.relative else "",
        "why": one.why,
    }


def _resource(name: str) -> str:
    return (files("titok.reporting") / name).read_text(encoding="utf-8")
