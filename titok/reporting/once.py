"""The same thing twice among the files given: a copy would count as another seed and move means and deviations."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

from titok.errors import ScoreError


class Once:
    """Notes what each file is about."""

    def __init__(self) -> None:
        self._files: dict[Hashable, Path] = {}

    def note(self, identity: Hashable, path: Path, what: str) -> None:
        """Raises `ScoreError`, saying ``what`` they are, when an earlier file has the same ``identity``."""
        first = self._files.setdefault(identity, path)
        if first is not path:
            given = f"{path} is given twice" if first == path else f"{first} and {path}"
            raise ScoreError(f"two {what}: {given}; leave one of them out")
