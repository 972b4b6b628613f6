"""The small study of tests/workflow as text and as data, for tests that change one thing in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from titok.config.check import check_study
from titok.config.load import apply_defaults
from titok.config.study import Study

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "workflow" / "tiny.yaml"
SHIPPED = sorted(
    path
    for folder in ("config", "tests/workflow")
    for path in (ROOT / folder).glob("*.yaml")
    if "\nstudy:" in f"\n{path.read_text()}"
)
"""Every study of the project; other YAML files have no `study:`."""


def tiny_document() -> dict[str, Any]:
    """The file's content, each time a copy of its own (aliases of the file included)."""
    document: dict[str, Any] = yaml.safe_load(TINY.read_text())
    return document


def changed(document: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """``document`` with one dotted key set; other places stay as they are, also those that share an anchor."""
    first, _, rest = key.partition(".")
    return {**document, first: changed(document.get(first) or {}, rest, value) if rest else value}


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    """``document`` without one dotted key."""
    first, _, rest = key.partition(".")
    if rest:
        return {**document, first: without(document[first], rest)}
    return {name: value for name, value in document.items() if name != first}


def study_of(document: dict[str, Any]) -> Study:
    """The study that a document describes, checked as `load_study` does."""
    study = Study.model_validate(apply_defaults(document, TINY))
    check_study(study)
    return study
