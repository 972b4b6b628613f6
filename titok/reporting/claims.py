"""The paper's claims against scores and measured models: a verdict for each, and who could know where there is none."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from titok.errors import TitokError
from titok.reporting.collect import MissingScore, Scores
from titok.reporting.judgement import Judgement, Seeds
from titok.reporting.layouts import LAYOUTS
from titok.reporting.paper import Paper
from titok.reporting.quantity import Quantity, evaluate
from titok.reporting.tables import row_subject
from titok.reporting.trends import trend_functions
from titok.reporting.verdicts import Verdict, compare, prediction
from titok.runtime.files import write_json, write_text

if TYPE_CHECKING:
    from titok.config.claims import Claim
    from titok.config.reporting import Reporting

Facts = Mapping[str, Mapping[str, float]]
"""Model -> what was measured on it."""


class _NotCheckableError(TitokError):
    """A claim rests on a number that nobody is sure of."""


@dataclass(frozen=True)
class Finding:
    """What became of a claim.

    Attributes:
        value, low, high: what was found and its interval; of a statement, of the difference that decides it.
        expected: what the paper says (numbers only).
        seeds: behind a statement; null where none count.
        unit: of a statement's number.
        because: what was missing, why nobody can know, or which part contradicts.
    """

    id: str
    text: str
    where: str
    scope: str
    needs: str
    verdict: Verdict
    expression: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    expected: float | None = None
    tolerance: float | None = None
    seeds: int | None = None
    unit: str = ""
    because: str = ""


@dataclass(frozen=True)
class Evidence:
    """What claims are judged by.

    Attributes:
        scores: of one study; none (an empty frame) where only models and the paper are looked at.
        scope: `imagenet256` or `imagenet512` where the study is on that dataset; else its numbers are no paper's.
    """

    paper: Paper
    models: Facts
    scores: Scores
    reporting: Reporting | None = None
    scope: str | None = None

    def functions(self) -> dict[str, Callable[..., Any]]:
        """The words of the expressions."""
        grid = self.reporting.tables.table4 if self.reporting else None
        own = {"paper": self._paper, "model": self._model, "ours": self._ours}
        return {**trend_functions(grid, self.scores), **own}

    def _paper(self, row: str, column: str) -> Quantity:
        found = self.paper.value(row, column)
        if found is None:
            raise _NotCheckableError(f"the paper's {column} of {row} is not known")
        if not found.is_sure:
            raise _NotCheckableError(f"the paper's {column} of {row} is recalled and was never confirmed")
        return Quantity.exactly(found.value)

    def _model(self, name: str, what: str) -> Quantity:
        if what not in self.models.get(name, {}):
            raise MissingScore(f"{what} of model {name} was not measured")
        return Quantity.exactly(self.models[name][what])

    def _ours(self, row: str, metric: str, table: str | None = None) -> Quantity:
        """The study's number in the first of its rows (of one table) that stands beside this row of the paper.

        In studies other than the paper's, two tables may set different models beside one row: a claim that compares
        two rows names their table.
        """
        if self.reporting is None:
            raise MissingScore("needs a study's scores: give --study and --scores")
        for name in self.reporting.tables.names:
            if table not in (None, name):
                continue
            kinds = {column.metric: column.kind for column in LAYOUTS[name].columns} if name in LAYOUTS else {}
            for ours in self.reporting.tables.rows(name):
                subject = row_subject(kinds[metric], ours) if ours.paper == row and metric in kinds else {}
                if subject:
                    records = self.scores.select(kinds[metric], **subject)
                    found = self.scores.statistic(records, metric)
                    if found is not None:
                        return replace(prediction(found), seeds=self._seeds(records, metric))
        raise MissingScore(f"no row of the study's {table or 'tables'} stands beside {row} and has {metric}")

    def _seeds(self, records: pd.DataFrame, metric: str) -> Seeds | None:
        """What each seed gave; null for the VQGAN, the one teacher that all of a study's tokenizers share."""
        first = records.iloc[0]
        is_teacher = first["kind"] == "reconstruction" and first["tokenizer"] == "vqgan"
        return None if is_teacher else self.scores.by_seed(records, metric)


def judge_claims(claims: Iterable[Claim], evidence: Evidence) -> list[Finding]:
    """A finding for every claim, in their order."""
    functions = evidence.functions()
    return [_judge(claim, evidence, functions) for claim in claims]


def _judge(claim: Claim, evidence: Evidence, functions: Mapping[str, Callable[..., Any]]) -> Finding:
    expression = claim.holds or claim.value or ""
    facts: dict[str, Any] = {name: getattr(claim, name) for name in ("id", "text", "where", "scope", "needs")}

    def finding(verdict: Verdict, **details: Any) -> Finding:
        return Finding(**facts, verdict=verdict, expression=expression, **details)

    if claim.unknown is not None:
        return finding("not checkable", because=claim.unknown)
    try:
        expected = None if claim.expected is None else evaluate(claim.expected, functions)
        if claim.scope.startswith("imagenet") and claim.scope != evidence.scope:
            raise MissingScore(f"needs a study on {claim.scope}")
        found = evaluate(expression, functions)
    except _NotCheckableError as error:
        return finding("not checkable", because=str(error))
    except MissingScore as error:
        return finding("not run", because=str(error))
    if isinstance(found, Judgement):
        details = {name: getattr(found, name) for name in ("value", "low", "high", "seeds", "unit", "because")}
        return finding(found.word, **details)
    if not isinstance(expected, Quantity):
        raise TypeError(f"claim {claim.id!r} expects {claim.expected!r}, which is no number")
    verdict = compare(found, expected.value, claim.tolerance)
    if verdict == "undecided":
        return finding(verdict, because="a number is not finite")
    numbers: dict[str, Any] = {"value": found.value, "expected": expected.value, "tolerance": claim.tolerance}
    if not found.is_exact and math.isfinite(found.low) and math.isfinite(found.high):
        numbers |= {"low": found.low, "high": found.high}
    return finding(verdict, **numbers)


def write_claims(findings: Sequence[Finding], output: str | Path) -> None:
    """Writes ``{output}`` (JSON: a summary, and every claim with value, interval and verdict) and ``.md`` beside it."""
    counts = Counter(finding.verdict for finding in findings)
    write_json(output, {"format": 1, "summary": dict(counts), "claims": [asdict(finding) for finding in findings]})
    write_text(Path(output).with_suffix(".md"), claims_markdown(findings))


def read_findings(path: str | Path) -> list[Finding]:
    """What :func:`write_claims` wrote."""
    return [Finding(**entry) for entry in json.loads(Path(path).read_text(encoding="utf-8"))["claims"]]


def claims_summary(findings: Sequence[Finding]) -> str:
    """How many claims there are of each verdict, in words."""
    counts = Counter(finding.verdict for finding in findings)
    return f"{len(findings)} claims: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())


_SIGNS = {
    "holds": "✓",
    "verified": "✓",
    "within the prediction interval": "≈",
    "undecided": "?",
    "contradicted": "✗",
    "outside": "✗",
}
_TONES = {"holds": "pass", "verified": "pass", "contradicted": "fail", "outside": "fail"}


def claim_groups(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The claims as the page shows them: judged ones, those that were not run, and those nobody can check."""
    groups = (
        ("Judged", True, [finding for finding in findings if finding.verdict in _SIGNS]),
        ("Not run", False, [finding for finding in findings if finding.verdict == "not run"]),
        ("Not checkable", False, [finding for finding in findings if finding.verdict == "not checkable"]),
    )
    return [
        {"title": title, "is_decided": is_decided, "rows": list(map(_row, part))}
        for title, is_decided, part in groups
        if part
    ]


def _row(finding: Finding) -> dict[str, str]:
    return {
        "verdict": finding.verdict,
        "sign": _SIGNS.get(finding.verdict, ""),
        "tone": _TONES.get(finding.verdict, ""),
        "text": finding.text,
        "where": finding.where,
        "found": shown(finding),
        "expected": expectation(finding),
        "because": finding.because,
    }


def claims_markdown(findings: Sequence[Finding]) -> str:
    """A summary line and a table."""
    head = ["| verdict | claim | where | found | expected | |", "| --- | --- | --- | ---: | ---: | --- |"]
    rows = [
        f"| {finding.verdict} | {finding.text} | {finding.where} | {shown(finding)} | {expectation(finding)} | "
        f"{finding.because} |"
        for finding in findings
    ]
    return "\n".join([f"{claims_summary(findings)}.", "", *head, *rows, ""])


def shown(finding: Finding) -> str:
    """What was found, as people read it."""
    if finding.value is None:
        return {"holds": "yes", "contradicted": "no"}.get(finding.verdict, "")
    interval = "" if finding.low is None else f" [{finding.low:.4g}, {finding.high:.4g}]"
    unit = f" {finding.unit}" if finding.unit else ""
    # What is undecided says how many seeds there are, and how many it takes.
    is_said = finding.seeds is None or finding.verdict == "undecided"
    seeds = "" if is_said else f", {finding.seeds} seed{'s' * (finding.seeds != 1)}"
    return f"{_number(finding.value)}{interval}{unit}{seeds}"


def expectation(finding: Finding) -> str:
    """What the paper says, as people read it."""
    if finding.expected is None:
        return ""
    return f"{_number(finding.expected)}{f' ± {finding.tolerance:g}' if finding.tolerance else ''}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"


def no_scores() -> Scores:
    """The scores of no study."""
    return Scores(pd.DataFrame(), {}, {}, {}, {}, [])
