"""One line of what ``titok doctor`` finds, with torch and without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    check: str
    status: Status
    detail: str
