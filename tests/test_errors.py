"""Errors that are written for people have one base, and a class of their own only where somebody catches it by name.

Run: pytest tests/test_errors.py
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from titok import errors

ROOT = Path(__file__).parents[1]
SOURCES = {path: path.read_text() for path in sorted((ROOT / "titok").rglob("*.py"))}
CATCHING = [*SOURCES.values(), *(path.read_text() for path in (ROOT / "workflow").rglob("*.smk"))]
BUILT_IN = ("Exception", "ValueError", "TypeError", "RuntimeError", "KeyError", "OSError")

NAMED_FOR_READERS = {"ChecksFailed", "TrendsDoNotHold", "PlanError", "OutputError", "CheckpointError", "TokenError"}
"""Caught by nobody: the sentence that `titok` prints begins with the name."""


def classes() -> dict[str, list[str]]:
    """Every exception of the package -> its bases."""
    found: dict[str, list[str]] = {}
    for source in SOURCES.values():
        for node in ast.walk(ast.parse(source)):
            bases = [ast.unparse(base) for base in node.bases] if isinstance(node, ast.ClassDef) else []
            if isinstance(node, ast.ClassDef) and any(base in BUILT_IN or base.endswith("Error") for base in bases):
                found[node.name] = bases
    return found


ERRORS = classes()


def test_lists_in_messages_end_with_how_many_they_leave_out() -> None:
    assert errors.some_of([], 2) == ""
    assert errors.some_of(["a", Path("b")], 2) == "a, b"
    assert errors.some_of("abcde", 2, "; ") == "a; b and 3 more"


def test_every_error_has_the_one_base() -> None:
    assert ERRORS["TitokError"] == ["Exception"]
    astray = {
        name: bases for name, bases in ERRORS.items() if name != "TitokError" and not any(b in ERRORS for b in bases)
    }
    assert astray == {}


def test_a_class_of_its_own_is_caught_by_name() -> None:
    shared = {name for name in vars(errors) if name.endswith("Error")}
    caught = {
        name
        for text in CATCHING
        for line in re.findall(r"(?:except|suppress)\b.*", text)
        for name in re.findall(r"\w+", line)
    }
    parents = {base for bases in ERRORS.values() for base in bases}
    assert set(ERRORS) - shared - caught - parents - NAMED_FOR_READERS == {"NonFiniteError"}, (
        "one of titok.errors says it"
    )
