"""The ledger of claims in the forms that graders of reproductions read: PaperBench, CORE-Bench, and the one-page
summary of the Machine Learning Reproducibility Challenge. Nothing is judged here; every word is the ledger's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from titok.reporting.claims_text import claims_summary, expectation, shown
from titok.reporting.finding import Finding
from titok.reporting.judgement import DECIDED

if TYPE_CHECKING:
    from titok.config.claims import Account

Form = Literal["rubric", "core-bench", "mlrc"]
PAPER = "An Image is Worth 32 Tokens for Reconstruction and Generation"
_CATEGORY = ("Result Analysis", "Evaluation, Metrics & Benchmarking")
_NEEDS = {
    "nothing": "models as built here and the paper's own arithmetic, which need no training",
    "scoring": "released checkpoints, scored on the validation images",
    "training": "models trained from scratch",
}


def rubric(findings: Sequence[Finding]) -> dict[str, Any]:
    """PaperBench's weighted tree, graded: a node per place in the paper, a leaf per claim.

    A leaf scores 1 if it agrees. What is not decided has no valid score; it counts 0, as nothing was shown. A parent's
    score is its children's mean by weight, and its weight their sum.
    """
    places = dict.fromkeys(finding.where for finding in findings)
    children = [_place(where, [finding for finding in findings if finding.where == where]) for where in places]
    return _parent("titok", f"The claims of the paper: {PAPER}.", children)


def _place(where: str, findings: Sequence[Finding]) -> dict[str, Any]:
    name = "".join(letter if letter.isalnum() else "-" for letter in where.lower())
    return _parent(name, f"What the paper says: {where}.", list(map(_leaf, findings)))


def _parent(identifier: str, requirements: str, children: Sequence[dict[str, Any]]) -> dict[str, Any]:
    weight = sum(child["weight"] for child in children)
    score = sum(child["weight"] * child["score"] for child in children) / weight if weight else 0.0
    decided = sum(1 for child in children if child["valid_score"])
    return {
        "id": identifier,
        "requirements": requirements,
        "weight": weight,
        "task_category": None,
        "finegrained_task_category": None,
        "score": score,
        "valid_score": decided == len(children),
        "explanation": f"{decided} of {len(children)} parts are decided.",
        "sub_tasks": list(children),
    }


def _leaf(finding: Finding) -> dict[str, Any]:
    found, expected = shown(finding), expectation(finding)
    told = [finding.verdict, f"found {found}" if found else "", f"expected {expected}" if expected else ""]
    return {
        "id": finding.id,
        "requirements": finding.text,
        "weight": finding.weight,
        "task_category": _CATEGORY[0],
        "finegrained_task_category": _CATEGORY[1],
        "score": 1.0 if finding.verdict == "agrees" else 0.0,
        "valid_score": finding.verdict in DECIDED,
        "explanation": "; ".join(filter(None, [*told, finding.because])),
        "sub_tasks": [],
    }


def core_bench(findings: Sequence[Finding]) -> dict[str, Any]:
    """CORE-Bench's questions and answers, and the interval (95 %) in which a repetition's answer lies.

    Only what was measured has an answer: a number where the claim has one, else yes or no. An exact number is its own
    interval.
    """
    answers: dict[str, float | str] = {}
    intervals: dict[str, dict[str, float] | None] = {}
    open_questions: dict[str, str] = {}
    for finding in findings:
        question = f"{finding.id}: {finding.text}"
        if finding.value is not None:
            answers[question] = finding.value
            ends = (finding.low, finding.high)
            low, high = (finding.value if end is None else end for end in ends)
            is_known = None not in ends or finding.seeds is None
            intervals[question] = {"low": low, "high": high} if is_known else None
        elif finding.verdict in DECIDED:
            answers[question] = "yes" if finding.verdict == "agrees" else "no"
        else:
            open_questions[question] = f"{finding.verdict}: {finding.because}"
    return {
        "capsule_title": PAPER,
        "field": "Computer Science",
        "results": [answers],
        "prediction_intervals": {"coverage": 0.95, "of": intervals},
        "not_answered": open_questions,
    }


def mlrc(findings: Sequence[Finding], account: Account) -> str:
    """The reproducibility challenge's one-page summary, in Markdown."""
    sections = {
        "Scope of Reproducibility": _scope(findings),
        "Methodology": _methodology(findings),
        "Results": _results(findings),
        "What was easy": _listed(account.easy),
        "What was difficult": _listed(account.difficult),
        "Communication with original authors": f"What they said in public:\n\n{_listed(account.authors)}",
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    return f"# Reproducibility Summary\n\n{PAPER} (NeurIPS 2024).\n\n{body}\n"


def _scope(findings: Sequence[Finding]) -> str:
    main = [finding for finding in findings if finding.weight == max(found.weight for found in findings)]
    return "\n".join([f"{len(findings)} claims are looked at. The paper's main ones:", "", *_bullets(main)])


def _methodology(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.needs for finding in findings)
    parts = "; ".join(f"{counts[needs]} need {what}" for needs, what in _NEEDS.items() if counts[needs])
    return (
        f"A reimplementation that loads the released weights key by key. Of the claims, {parts}. A number agrees if "
        f"its whole 95 % interval lies within the tolerance of the paper's: over seeds (three at least), or over sets "
        f"of images for released weights; numbers by another protocol or on another device are not compared."
    )


def _results(findings: Sequence[Finding]) -> str:
    against = [finding for finding in findings if finding.verdict == "differs"]
    lines = [f"{claims_summary(findings)}."]
    if against:
        lines += ["", "What differs:", "", *_bullets(against)]
    return "\n".join(lines)


def _bullets(findings: Sequence[Finding]) -> list[str]:
    return [f"- {finding.text} *{finding.verdict}*{_numbers(finding)}" for finding in findings]


def _numbers(finding: Finding) -> str:
    found, expected = shown(finding), expectation(finding)
    if finding.verdict not in DECIDED or finding.value is None:
        return ""
    return f" (found {found}{f', expected {expected}' if expected else ''})"


def _listed(statements: Sequence[str]) -> str:
    return "\n".join(f"- {statement}" for statement in statements) or "Nothing was noted."


FORMS: Mapping[Form, Callable[[Sequence[Finding], Account], dict[str, Any] | str]] = {
    "rubric": lambda findings, _: rubric(findings),
    "core-bench": lambda findings, _: core_bench(findings),
    "mlrc": mlrc,
}
"""Name -> the ledger in that form: data to be written as JSON, or text."""
