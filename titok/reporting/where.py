"""Where the paper's claims hold: the judgements of several studies side by side, one row a claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from titok.errors import ScoreError
from titok.reporting.claims import read_findings
from titok.reporting.claims_text import shown
from titok.reporting.finding import Finding

NOBODY = "not run"
"""The word of a study that nobody ran, and of claims that a study has no scores for."""


def read_study(folder: Path) -> dict[str, Finding]:
    """Id -> what became of a claim about any study, from ``claims.json`` of a results or evidence folder.

    Raises:
        ScoreError: there is none; says who writes it.
    """
    path = folder / "claims.json"
    if not path.is_file():
        raise ScoreError(f"{folder} has no claims.json; give a finished study's results or evidence folder")
    return {finding.id: finding for finding in read_findings(path) if finding.scope == "any"}


def where_frame(studies: Mapping[str, Mapping[str, Finding]]) -> pd.DataFrame:
    """(claims x studies) rows, claim by claim in the ledger's order: verdict, value, interval, seeds.

    A study that nobody ran (an empty mapping) has rows, too, so that its column is there to be filled.
    """
    texts = {name: finding.text for found in studies.values() for name, finding in found.items()}
    rows = [
        {
            "claim": name,
            "text": text,
            "study": study,
            "verdict": found[name].verdict if name in found else NOBODY,
            **{key: getattr(found.get(name), key, None) for key in ("value", "low", "high", "seeds")},
        }
        for name, text in texts.items()
        for study, found in studies.items()
    ]
    return pd.DataFrame(rows)


def where_markdown(studies: Mapping[str, Mapping[str, Finding]]) -> str:
    """The table for people: a column per study, each cell the word, value and 95 % interval."""
    frame = where_frame(studies)
    if frame.empty:
        raise ScoreError("none of the studies has a claim about any study; judge them again with `titok claims`")
    head = ["| claim |" + "".join(f" {study} |" for study in studies), "| --- |" + " --- |" * len(studies)]
    texts = dict(zip(frame["claim"], frame["text"], strict=True))
    rows = [f"| {text} | {' | '.join(_cells(name, list(studies.values())))} |" for name, text in texts.items()]
    return "\n".join([*head, *rows, ""])


def _cells(name: str, studies: Sequence[Mapping[str, Finding]]) -> list[str]:
    return [_cell(found.get(name)) for found in studies]


def _cell(finding: Finding | None) -> str:
    if finding is None or finding.verdict == NOBODY:
        return NOBODY
    said = shown(finding) if finding.value is not None else ""
    return f"{finding.verdict} {said}".strip()
