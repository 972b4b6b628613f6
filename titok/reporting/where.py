"""Where the paper's claims hold: the judgements of several studies side by side, one row a claim.

The words are those that each study's own claims were judged with (``titok.reporting.judgement``); nothing is judged
anew here. Beside them stand *not asked*, of a claim that a study has no rows for, and *not run*, of scores that it
plans but that are not there, and of a study that nobody ran.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from titok.errors import ScoreError
from titok.reporting.claims import read_findings
from titok.reporting.claims_text import shown
from titok.reporting.finding import Finding

if TYPE_CHECKING:
    from titok.config.claims import Claim

NOT_RUN, NOT_ASKED = "not run", "not asked"
JUDGED_BEFORE = "judged before the ledger had this claim; judge again with `titok claims`"
Studies: TypeAlias = Mapping[str, Mapping[str, Finding] | None]
"""Study -> claim's id -> what became of it; null where nobody ran the study."""


def read_study(folder: Path) -> dict[str, Finding]:
    """Id -> what became of a claim about any study, from ``claims.json`` of a results or evidence folder.

    Raises:
        ScoreError: there is none; says who writes it.
    """
    path = folder / "claims.json"
    if not path.is_file():
        raise ScoreError(f"{folder} has no claims.json; give a finished study's results or evidence folder")
    return {finding.id: finding for finding in read_findings(path) if finding.scope == "any"}


def where_frame(claims: Iterable[Claim], studies: Studies) -> pd.DataFrame:
    """(claims x studies) rows, claim by claim in the ledger's order: word, value, interval, unit, seeds and why.

    Every claim about any study has a row for every study, so that none is missing silently.
    """
    asked = [claim for claim in claims if claim.scope == "any"]
    return pd.DataFrame([_line(claim, name, studies[name]) for claim in asked for name in studies])


def _line(claim: Claim, study: str, found: Mapping[str, Finding] | None) -> dict[str, Any]:
    line: dict[str, Any] = {"claim": claim.id, "text": claim.text, "where": claim.where, "study": study}
    if found is None:
        return line | {"verdict": NOT_RUN, "because": "nobody ran this study"}
    finding = found.get(claim.id)
    if finding is None:
        return line | {"verdict": NOT_ASKED, "because": JUDGED_BEFORE}
    numbers = {key: getattr(finding, key) for key in ("value", "low", "high", "unit", "seeds", "because")}
    return line | {"verdict": word(finding), **numbers}


def word(finding: Finding) -> str:
    """The judgement's own word; of what is not run, whether the study asks at all."""
    return NOT_ASKED if finding.verdict == NOT_RUN and not finding.is_planned else finding.verdict


def where_markdown(claims: Iterable[Claim], studies: Studies) -> str:
    """The table for people, a column per study, each cell the word, the number, its 95 % interval and the seeds; below
    it what would decide, or what is missing, where a study that was run does not tell."""
    asked = [claim for claim in claims if claim.scope == "any"]
    head = [
        "| claim | in the paper |" + "".join(f" {study} |" for study in studies),
        "| --- | --- |" + " --- |" * len(studies),
    ]
    rows = [
        f"| {claim.text} | {claim.where} | {' | '.join(_cell(found, claim.id) for found in studies.values())} |"
        for claim in asked
    ]
    return "\n".join([*head, *rows, *_reasons(asked, studies), ""])


def _cell(found: Mapping[str, Finding] | None, claim: str) -> str:
    if found is None:
        return NOT_RUN
    finding = found.get(claim)
    if finding is None:
        return NOT_ASKED
    said = shown(finding, always_seeds=True) if finding.value is not None else ""
    return f"{word(finding)} {said}".strip()


def _reasons(asked: Iterable[Claim], studies: Studies) -> list[str]:
    """A line per study and reason, with the claims it is the reason of."""
    lines = []
    claims = {claim.id: claim.text.rstrip(".") for claim in asked}
    for study, found in studies.items():
        if found is None:
            continue
        whose: dict[str, list[str]] = {}
        for name, text in claims.items():
            finding = found.get(name)
            because = JUDGED_BEFORE if finding is None else finding.because
            if because and (finding is None or word(finding) != NOT_ASKED):  # of those the word says it all
                whose.setdefault(because, []).append(text)
        lines += [f"- {study}, *{'; '.join(texts)}*: {because}" for because, texts in whose.items()]
    return ["", "What is missing, or would decide:", "", *lines] if lines else []
