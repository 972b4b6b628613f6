"""References to the released models' facts lead somewhere: every `specification 7.2` is a section of its page.

One form, so that they are found: `specification 7.2`, `specification 7.1 and 8.5`, `specification 1.2, step 8`,
`specification 11, pitfall 24`. Run: pytest tests/test_specification.py
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "specification.md"
FOLDERS = ("titok", "tests", "config", "docs", "workflow", "benchmarks")
OTHER_FORMS = re.compile(
    r"\bspecs? (?:sections? )?\d|\bspec sections?\b|specification(?:'s|,)? sections? \d"
    r"|(?<!specification 11, )\bpitfall \d|TOKEN_RULE|SENSITIVITY\.md|TITOK\.md|\.\./shared",
    re.IGNORECASE,
)
"""What the one form is instead of, and documents that lie outside of the repository."""
REFERENCE = re.compile(
    r"\bspecification (\d+(?:\.\d+)?(?:(?:, | and )\d+(?:\.\d+)?)*)(?:, (step|pitfall) (\d+))?", re.IGNORECASE
)


class Reference(NamedTuple):
    """A section, and the item of its numbered list where one is named."""

    section: str
    item: str | None


def read_flat(path: Path) -> str:
    """A file's text with its lines joined, so that a reference may be broken at a line's end, comments too."""
    return re.sub(r"\s*\n[\s#]*", " ", path.read_text(encoding="utf-8"))


def references(text: str) -> Iterator[Reference]:
    for sections, _, item in REFERENCE.findall(text):
        *others, last = re.split(r", | and ", sections)
        yield from (Reference(section, None) for section in others)
        yield Reference(last, item or None)


def sections(page: str) -> dict[str, set[str]]:
    """The numbers of all sections, each with the numbers of the items that stand in it."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in page.splitlines():
        if heading := re.match(r"#{2,3} (\d+(?:\.\d+)?)\.? ", line):
            name = heading[1]
            found[name] = set()
        elif item := re.match(r"(\d+)\. ", line):
            found[name].add(item[1])
    return found


def missing(text: str, page: str) -> list[str]:
    """What a text refers to and the page does not have."""
    there = sections(page)
    return [
        f"specification {section}" + (f", item {item}" if item else "")
        for section, item in references(text)
        if section not in there or (item is not None and item not in there[section])
    ]


def files() -> list[Path]:
    """Every text of the repository that may refer to the page; what is released, generated or golden is left out."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *FOLDERS, "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    kinds = {".py", ".md", ".yaml", ".smk", ".json"}
    paths = {ROOT / name for name in listed if Path(name).suffix in kinds and not name.startswith("docs/measurements/")}
    paths.add(ROOT / "workflow" / "Snakefile")
    return sorted(path for path in paths if path.is_file() and path != Path(__file__).resolve())


def test_every_reference_leads_to_a_section() -> None:
    page = PAGE.read_text(encoding="utf-8")
    found = 0
    for path in files():
        text = read_flat(path)
        found += sum(1 for _ in references(text))
        assert not missing(text, page), path
    assert found > 60


def test_references_have_one_form() -> None:
    """Another form would not be looked up."""
    for path in files():
        text = read_flat(path)
        if path != PAGE:
            assert (slip := OTHER_FORMS.search(text)) is None, f"{path}: {slip and slip[0]!r}"


def test_the_page_refers_to_itself_truly() -> None:
    """`(8.5)`, `1.2, step 8` and `pitfall 1` within the page."""
    page = PAGE.read_text(encoding="utf-8")
    there = sections(page)
    own = re.findall(r"\((\d+(?:\.\d+)?)(?:, step (\d+))?\)|\b(\d\.\d), step (\d+)", page)
    assert len(own) > 5
    for section, item, other, other_item in own:
        assert (section or other) in there, section or other
        assert {item, other_item} - {""} <= there[section or other], (section, item, other, other_item)
    assert set(re.findall(r"pitfall (\d+)", page)) <= there["11"]
    assert there["11"] == {str(number) for number in range(1, len(there["11"]) + 1)}


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("as in specification 1.2, step 2.", []),
        ("as in specification 1.2, step 3.", ["specification 1.2, item 3"]),
        ("(specification 1.2 and 7.9)", ["specification 7.9"]),
        ("Specification 1.1, 1.2 and 2, pitfall 1", ["specification 1.1", "specification 2, item 1"]),
        ("a specification of 3 pages", []),
    ],
)
def test_what_leads_nowhere_is_found(text: str, lost: list[str]) -> None:
    assert missing(text, "## 1. A\n### 1.2 B\n1. one\n2. two\n## 2. C\n") == lost


@pytest.mark.parametrize(
    "text",
    ["spec section 7.2", "Spec 7.2", "(pitfall 3)", "specs 1 and 2", "the specification's section 2", "../shared/x"],
)
def test_other_forms_are_found(text: str) -> None:
    assert OTHER_FORMS.search(text)


@pytest.mark.parametrize(
    "text", ["specification 7.2", "specification 11, pitfall 3", "importlib.util.spec", "pitfalls"]
)
def test_the_one_form_and_other_words_are_left_alone(text: str) -> None:
    assert not OTHER_FORMS.search(text)


def test_a_broken_line_does_not_hide_a_reference(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("# as in specification\n    # 9.9, which\n")
    assert missing(read_flat(tmp_path / "x.py"), "## 1. A\n") == ["specification 9.9"]
