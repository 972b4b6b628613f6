"""The ledger of claims as people read it: a summary, a Markdown table, and the page's groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from titok.reporting.finding import Finding

SIGNS = {"agrees": "✓", "differs": "✗", "undecided": "?", "not comparable": "≠"}
TONES = {"agrees": "pass", "differs": "fail"}
GROUPS = (
    ("Judged", ("agrees", "differs", "undecided")),
    ("Not comparable", ("not comparable",)),
    ("Not run", ("not run",)),
    ("Not checkable", ("not checkable",)),
)


def claims_summary(findings: Sequence[Finding]) -> str:
    """How many claims there are of each word."""
    counts = Counter(finding.verdict for finding in findings)
    return f"{len(findings)} claims: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())


def claim_groups(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The claims as the page shows them: judged ones, and those that are not, by the reason's kind."""
    groups = [
        (title, title == "Judged", [finding for finding in findings if finding.verdict in words])
        for title, words in GROUPS
    ]
    return [
        {"title": title, "is_decided": is_decided, "rows": list(map(_row, part))}
        for title, is_decided, part in groups
        if part
    ]


def _row(finding: Finding) -> dict[str, str]:
    return {
        "verdict": finding.verdict,
        "sign": SIGNS.get(finding.verdict, ""),
        "tone": TONES.get(finding.verdict, ""),
        "text": finding.text,
        "where": finding.where,
        "found": shown(finding),
        "expected": expectation(finding),
        "because": finding.because,
    }


def claims_markdown(findings: Sequence[Finding]) -> str:
    """A summary line and a table."""
    head = ["| judgement | claim | where | found | expected | |", "| --- | --- | --- | ---: | ---: | --- |"]
    return "\n".join([f"{claims_summary(findings)}.", "", *head, *map(claim_line, findings), ""])


def claim_line(finding: Finding) -> str:
    """A row of the table."""
    cells = [finding.verdict, finding.text, finding.where, shown(finding), expectation(finding), finding.because]
    return f"| {' | '.join(cells)} |"


def shown(finding: Finding, *, always_seeds: bool = False) -> str:
    """What was found, as people read it; without the seeds where `because`, which stands beside it, says them."""
    if finding.value is None:
        return {"agrees": "yes", "differs": "no"}.get(finding.verdict, "")
    interval = "" if finding.low is None or finding.high is None else f" [{finding.low:.4g}, {finding.high:.4g}]"
    unit = f" {finding.unit}" if finding.unit else ""
    # What is undecided says how many seeds there are, and how many it takes.
    is_said = finding.seeds is None or (finding.verdict == "undecided" and not always_seeds)
    seeds = "" if is_said else f", {finding.seeds} seed{'s' * (finding.seeds != 1)}"
    return f"{_number(finding.value)}{interval}{unit}{seeds}"


def expectation(finding: Finding) -> str:
    """What the paper says, as people read it."""
    if finding.expected is None:
        return ""
    return f"{_number(finding.expected)}{f' ± {finding.tolerance:g}' if finding.tolerance else ''}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"
