"""The pages' numbers are those of the files they name.

Run: pytest tests/test_docs.py; when it fails, `python docs/fill_numbers.py` brings the pages up to date.
"""

from __future__ import annotations

import importlib.util
import itertools
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def numbers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("numbers_of_pages", ROOT / "docs" / "fill_numbers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_no_page_is_behind(numbers: ModuleType) -> None:
    marks = 0
    for page in numbers.pages():
        text = page.read_text(encoding="utf-8")
        marks += len(numbers.NUMBER.findall(text)) + len(numbers.BLOCK.findall(text))
        assert numbers.filled(text) == text, f"{page} is behind: python docs/fill_numbers.py"
    assert marks > 15


def test_every_mark_is_well_formed(numbers: ModuleType) -> None:
    """A mark with a slip of the pen would be text that nobody fills in."""
    for page in numbers.pages():
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(r"<!-- n: ", text)) == len(numbers.NUMBER.findall(text)) == text.count("<!-- /n -->"), (
            page
        )
        blocks = len(numbers.BLOCK.findall(text))
        assert len(re.findall(r"<!-- block: ", text)) == blocks == text.count("<!-- /block -->"), page


def test_numbers_are_filled_in_from_their_file(
    numbers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.json").write_text('{"a": {"b": [1.5, 0.257]}}')
    monkeypatch.setattr(numbers, "DOCS", tmp_path)
    text = "x <!-- n: m.json a.b.1 .0% -->old<!-- /n --> y <!-- n: m.json a.b.0 --><!-- /n -->"
    assert (
        numbers.filled(text) == "x <!-- n: m.json a.b.1 .0% -->26%<!-- /n --> y <!-- n: m.json a.b.0 -->1.5<!-- /n -->"
    )


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("<!-- n: no.json a --><!-- /n -->", "does not exist"),
        ("<!-- n: m.json a.c --><!-- /n -->", "nothing at 'c'"),
        ("<!-- block: nothing -->\n<!-- /block -->", "no block is called 'nothing'"),
    ],
)
def test_marks_that_lead_nowhere_are_errors(
    numbers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str, words: str
) -> None:
    (tmp_path / "m.json").write_text('{"a": {"b": 1}}')
    monkeypatch.setattr(numbers, "DOCS", tmp_path)
    with pytest.raises(numbers.NumbersError, match=words):
        numbers.filled(mark)


def snakemake_lines() -> list[str]:
    """Every command of the pages and studies that starts Snakemake."""
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("config/*.yaml")]
    pattern = re.compile(r"^(?:#   |\| [^|]*\| `)?(snakemake (?!deleted)[^`#;(\n]*)", re.MULTILINE)
    lines = {found.strip() for page in pages for found in pattern.findall(page.read_text(encoding="utf-8"))}
    return sorted(re.split(r" {3,}|, also| of the|\.\.\.", line)[0].strip() for line in lines)


def test_targets_are_not_taken_for_configuration_files() -> None:
    """`--configfile` takes every word after it: `... --configfile FILE table1` would look for a file `table1`."""
    lines = snakemake_lines()
    assert len(lines) > 15
    for line in lines:
        words = line.split()
        after = words[words.index("--configfile") + 1 :] if "--configfile" in words else ["config/x.yaml"]
        files = list(itertools.takewhile(lambda word: not word.startswith("-"), after))
        assert files, line
        assert all(re.fullmatch(r"config/\w+\.yaml|FILE", file) for file in files), line
