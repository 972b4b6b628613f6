"""Several things that are wrong, in one message."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 20


def all_of(reasons: Sequence[str], what: str) -> str:
    """The only reason as it is; several as a list below their number and ``what``, of which the first are shown."""
    return reasons[0] if len(reasons) == 1 else f"{len(reasons)} {what}:{listed(reasons)}"


def listed(lines: Sequence[str]) -> str:
    """Lines below each other, the first twenty, and how many more there are."""
    more = f"\n  and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "".join(f"\n  - {line}" for line in lines[:_SHOWN]) + more
