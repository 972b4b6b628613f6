"""What the documents promise exists: make targets, files, verbs.

Run: pytest tests/test_repository.py
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "config/README.md", "results/README.md", "CHANGELOG.md")
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)


def code_in(document: str) -> str:
    """Everything a document sets as code, one piece per line."""
    text = (ROOT / document).read_text()
    return "\n".join(block or inline for block, inline in CODE.findall(text))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_name_targets_and_files_that_exist(document: str) -> None:
    code = code_in(document)
    unknown = set(re.findall(r"\bmake ([a-z]+)\b", code)) - TARGETS
    assert not unknown, f"{document} names make targets that do not exist"
    paths = set(re.findall(r"(?:^|\s)((?:config|titok|tests|workflow|benchmarks|\.ci)/[\w./-]+\w)", code))
    missing = {path for path in paths if not (ROOT / path).exists() and "mine" not in path}
    assert not missing, f"{document} names files that do not exist"


def test_the_readme_gives_the_two_commands() -> None:
    code = code_in("README.md")
    assert "make demo" in code
    assert "make test" in code


def test_targets_of_the_makefile_are_explained() -> None:
    done = subprocess.run(["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True, timeout=60)
    explained = set(re.findall(r"^\s+make ([a-z]+)", done.stdout, re.MULTILINE))
    assert explained == TARGETS
    assert {"demo", "test", "lint"} <= TARGETS


def test_ci_runs_what_people_run_and_notices_an_empty_run() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert "make lint" in script
    assert "make test" in script
    assert "no test ran" in script


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_between_documents_work(document: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / document).read_text()):
        if "://" not in link and not link.startswith(("#", "mailto:")):
            assert (ROOT / document).parent.joinpath(link.partition("#")[0]).exists(), f"{document}: {link}"


def test_results_are_never_committed() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "results", "logs", ".snakemake"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert listed.stdout.split() == ["results/README.md"]


def test_the_package_of_benchmarks_holds_code_alone() -> None:
    listed = subprocess.run(["git", "ls-files", "benchmarks"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {Path(name).suffix for name in listed.stdout.split()} == {".py"}


def test_photographs_are_those_whose_licence_is_noted() -> None:
    golden = ROOT / "tests/golden"
    noted = dict(re.findall(r"^\| `([\w/.]+)` \|.*\| `([0-9a-f]{64})` \|$", (golden / "README.md").read_text(), re.M))
    kept = [*golden.glob("photographs/*"), *golden.glob("*/*.jpg")]
    assert noted == {str(path.relative_to(golden)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}
    assert len(noted) == 5
