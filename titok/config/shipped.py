"""Where the files that come with the project are, whatever folder a command runs in."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parents[2]
"""The checkout: where the Snakefile is."""


def shipped(path: str | Path) -> Path:
    """A file that comes with the project: the working folder's own, if it has one, otherwise the checkout's."""
    return Path(path) if Path(path).exists() or not (PROJECT / path).exists() else PROJECT / path
