"""One line of the ledger of claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from titok.reporting.judgement import Word

Verdict = Word | Literal["not checkable"]


@dataclass(frozen=True)
class Finding:
    """What became of a claim.

    Attributes:
        value, low, high: what was found and its interval; of a statement, of the difference that decides it. Beside a
            number of the paper the interval is that of one more repetition, which the paper's number is.
        expected: what the paper says (numbers only).
        seeds: behind the value; null where none count.
        unit: of a statement's number.
        because: what would decide it, which key of the protocol differs, what was missing, why nobody can know, or
            which part contradicts.
        refuted_by: what would have to be found for `differs`.
        weight: of the claim among all.
        is_planned: of what is not run, whether the study plans the scores that are missing; else it does not ask.
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
    refuted_by: str = ""
    weight: int = 1
    is_planned: bool = False
