"""The paper's claims against scores and measured models: a word for each, and who could know where there is none."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from titok.reporting.claims_text import claims_markdown
from titok.reporting.collect import MissingScore, NotComparableError, PlannedScoreMissing, Scores
from titok.reporting.evidence import Evidence, NotCheckableError
from titok.reporting.finding import Finding, Verdict
from titok.reporting.judgement import Judgement, Statement, judge
from titok.reporting.paper import Paper
from titok.reporting.quantity import Quantity, evaluate
from titok.runtime.files import write_json, write_text

if TYPE_CHECKING:
    from titok.config.claims import Claim

FORMAT = 2
"""Format 1 had other words: verified, within the prediction interval, outside, holds, contradicted."""


def judge_claims(claims: Iterable[Claim], evidence: Evidence) -> list[Finding]:
    """A finding for every claim, in their order."""
    return [_judge(claim, evidence) for claim in claims]


def _judge(claim: Claim, evidence: Evidence) -> Finding:
    expression = claim.holds or claim.value or ""
    facts: dict[str, Any] = {name: getattr(claim, name) for name in ("id", "text", "where", "scope", "needs", "weight")}
    expected: Quantity | None = None
    tolerance = claim.tolerance
    try:
        if claim.unknown is not None:
            raise NotCheckableError(claim.unknown)
        functions = evidence.functions(is_absolute=claim.scope.startswith("imagenet"))
        if claim.expected is not None:
            expected = _number(evaluate(claim.expected, functions), claim, claim.expected)
            tolerance = _tolerance(claim, evidence.paper)
        if claim.scope.startswith("imagenet") and claim.scope != evidence.scope:
            raise MissingScore(f"needs a study on {claim.scope}")
        found = evaluate(expression, functions)
        judged = found if isinstance(found, Judgement) else _beside(found, expected, tolerance, claim)
        verdict: Verdict = judged.word
        facts |= {name: getattr(judged, name) for name in ("value", "low", "high", "seeds", "unit", "because")}
    except NotCheckableError as error:
        verdict, facts["because"] = "not checkable", str(error)
    except NotComparableError as error:
        verdict, facts["because"] = "not comparable", error.differing
    except MissingScore as error:
        verdict, facts["because"] = "not run", str(error)
        facts["is_planned"] = isinstance(error, PlannedScoreMissing)
    if expected is not None:
        facts |= {"expected": _finite(expected.value), "tolerance": tolerance}
    refuted_by = "" if claim.unknown else claim.refuted_by or _refuting(claim, facts.get("expected"), tolerance)
    return Finding(**facts, verdict=verdict, expression=expression, refuted_by=refuted_by)


def _beside(found: Quantity, expected: Quantity | None, tolerance: float, claim: Claim) -> Judgement:
    if expected is None:
        raise TypeError(f"claim {claim.id!r} holds {claim.holds!r}, which is no statement")
    return judge(Statement.near(found.estimate.against_one_more(), expected.value, tolerance))


def _number(found: Quantity | Judgement, claim: Claim, expression: str) -> Quantity:
    if not isinstance(found, Quantity):
        raise TypeError(f"claim {claim.id!r} expects {expression!r}, which is no number")
    return found


def _tolerance(claim: Claim, paper: Paper) -> float:
    """The published number's own, or the claim's where it expects something else."""
    theirs = paper.value(*claim.expected_number) if claim.expected_number else None
    return theirs.tolerance if theirs is not None else claim.tolerance


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _refuting(claim: Claim, expected: float | None, tolerance: float) -> str:
    if claim.holds is not None:
        return f"a 95 % interval in which nowhere {claim.holds}"
    around = f"{claim.expected if expected is None else f'{expected:g}'}{f' ± {tolerance:g}' if tolerance else ''}"
    return f"a 95 % interval outside of {around}"


def write_claims(findings: Sequence[Finding], output: str | Path) -> None:
    """Writes ``{output}`` (JSON: a summary, and every claim with value, interval and word) and ``.md`` beside it."""
    counts = Counter(finding.verdict for finding in findings)
    write_json(output, {"format": FORMAT, "summary": dict(counts), "claims": [asdict(finding) for finding in findings]})
    write_text(Path(output).with_suffix(".md"), claims_markdown(findings))


def read_findings(path: str | Path) -> list[Finding]:
    """What :func:`write_claims` wrote.

    Raises:
        MissingScore: it is of another format.
    """
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise MissingScore(f"{path} holds no claims of format {FORMAT}; write it again with `titok claims`")
    return [Finding(**entry) for entry in content["claims"]]


def no_scores() -> Scores:
    """The scores of no study."""
    return Scores(pd.DataFrame(), {}, {}, {}, {}, [])
