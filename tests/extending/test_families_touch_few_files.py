"""How many files know a family of tokenizers by its name, beside its own; docs/extending.md says which they are.

A file knows it if its code does: imports, names and words, without comments and docstrings. Run: pytest
tests/extending/test_families_touch_few_files.py
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "titok"
MOST = 9
"""Files of the package that a second family may need beside its own."""

ALIT = {
    *(f"config/alit{part}.py" for part in ("", "_recipe", "_jobs")),
    *(f"losses/length_{part}.py" for part in ("proxy", "pixels")),
    *(f"models/{part}.py" for part in ("alit", "alit_flops", "halting", "patchgan", "published_alit", "recurrent")),
    *(f"training/alit_{part}.py" for part in ("flops", "stage1", "stage2")),
}
TAIL_DROP = {"training/tail_drop.py"}


def words(tree: ast.AST) -> Iterator[str]:
    """Every name and text of a module's code."""
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value
        for field in ("id", "attr", "name", "module", "arg"):
            if isinstance(found := getattr(node, field, None), str):
                yield found


def knowing(pattern: str) -> set[str]:
    """Files of the package whose code names a family."""
    return {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(re.search(pattern, word) for word in words(ast.parse(path.read_text(encoding="utf-8"))))
    }


@pytest.mark.parametrize(("pattern", "own"), [(r"(?i)(?<![a-z])alit(?![a-z])", ALIT), (r"tail_?drop", TAIL_DROP)])
def test_a_family_is_known_in_few_files_beside_its_own(pattern: str, own: set[str]) -> None:
    found = knowing(pattern)
    assert own <= found | {"models/halting.py"}, "its own files are there; halting knows no name"
    assert len(found - own) <= MOST, sorted(found - own)


def test_comments_and_docstrings_do_not_count() -> None:
    module = ast.parse(
        '"""Alit."""\nfrom a.alit_b import C\n\n\ndef f(x):\n    """Of Alit."""\n    # alit\n    return x.y("z")\n'
    )
    assert [word for word in words(module) if "alit" in word.lower()] == ["a.alit_b"]
