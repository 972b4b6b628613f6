"""Pages that lead through the code name what is there: each [`symbol`][file] is a symbol of that file.

The files stand once per page, at its end: `[file]: ../titok/...`. Run: pytest tests/test_pages_name_code.py
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = ("tour.md", "glossary.md", "extending.md")
LINK = re.compile(r"\[`([^`\]]+)`\]\[([^\]]+)\]")
FILE = re.compile(r"^\[([^\]]+)\]: (\S+)$", re.MULTILINE)


def names(node: ast.AST) -> set[str]:
    """What a module or class defines; of classes, their attributes and methods too, as `Class.name`."""
    found: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            found.add(child.name)
            if isinstance(child, ast.ClassDef):
                found |= {f"{child.name}.{name}" for name in names(child)}
        elif isinstance(child, ast.Assign | ast.AnnAssign):
            targets = child.targets if isinstance(child, ast.Assign) else [child.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


@cache
def symbols(file: Path) -> set[str]:
    """Classes, functions and constants of a module, rules of a workflow file, or dotted keys of a study."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return names(ast.parse(text))
    if file.suffix == ".smk":
        return set(re.findall(r"^(?:rule|use rule \w+ as|def) (\w+)", text, re.MULTILINE))
    return keys(yaml.safe_load(text))


def keys(document: Any, before: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in document.items() if isinstance(document, dict) else ():
        found |= {f"{before}{key}"} | keys(value, f"{before}{key}.")
    return found


def astray(text: str) -> list[str]:
    """Links of a page to a file or symbol that is not there, and files that it names and never uses."""
    files = {name: (DOCS / path).resolve() for name, path in FILE.findall(text)}
    used = LINK.findall(text)
    found = [f"{name}: {file} does not exist" for name, file in files.items() if not file.is_file()]
    for symbol, name in used:
        if name not in files:
            found.append(f"{symbol}: the page names no file {name!r}")
        elif files[name].is_file() and symbol not in symbols(files[name]):
            found.append(f"{symbol} is not in {files[name]}")
    return found + [f"{name} is named and not used" for name in files.keys() - {name for _, name in used}]


@pytest.mark.parametrize("page", PAGES)
def test_every_symbol_is_in_its_file(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert not astray(text)
    assert len(LINK.findall(text)) > 10


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[`Task`][t]\n\n[t]: ../titok/training/task.py", []),
        ("[`Task.updates`][t] [`MODEL`][t] [`Turn.share`][t]\n\n[t]: ../titok/training/task.py", []),
        (
            "[`score_vqgan`][s] [`score_probe`][s]\n\n[s]: ../workflow/rules/scores.smk",
            [],
        ),
        ("[`Tusk`][t]\n\n[t]: ../titok/training/task.py", ["Tusk is not in"]),
        ("[`Task.update`][t]\n\n[t]: ../titok/training/task.py", ["Task.update is not in"]),
        ("[`Task`][u]\n\n[t]: ../titok/training/task.py", ["names no file 'u'", "t is named and not used"]),
        ("[`Task`][t]\n\n[t]: ../titok/training/tusk.py", ["tusk.py does not exist"]),
        ("[`tokenizers.no-such`][y]\n\n[y]: ../config/digits.yaml", ["tokenizers.no-such is not in"]),
    ],
)
def test_what_leads_astray_is_found(text: str, words: list[str]) -> None:
    found = astray(text)
    assert len(found) == len(words)
    assert all(word in line for word, line in zip(words, found, strict=True))


def test_the_tour_names_files_that_the_workflow_makes() -> None:
    from titok.config.jobs import job_names
    from titok.config.load import load_study
    from titok.config.targets import Targets

    study = load_study(ROOT / "config" / "digits.yaml")
    targets = Targets(study)
    made = {
        *targets.everything(),
        *targets.tokenizer_models(),
        *(f"{targets.root}/data/{s}.index.npz" for s in ("train", "test")),
    }
    made |= {f"{targets.root}/configs/{kind}/{name}.yaml" for kind, name in job_names(study)}
    made |= {targets.tokenizer_model("l2-final", "stage1", 0)}
    named = set(re.findall(r"`(results/digits/[^`]+)`", (DOCS / "tour.md").read_text(encoding="utf-8")))
    assert len(named) == 5
    assert named <= made
    row = study.reporting.tables.table1.rows[0]
    assert (row.label, row.tokenizer, row.paper) == ("TiTok-L-2", "l2-final", "table1/titok-l-32")


def test_the_tour_follows_the_first_test_image() -> None:
    from sklearn.datasets import load_digits

    from titok.config.load import load_study
    from titok.data.sources.digits import stratified_test_split

    dataset = load_study(ROOT / "config" / "digits.yaml").dataset
    labels = load_digits().target
    is_test = stratified_test_split(labels, dataset.test_images, dataset.split_seed)
    assert (is_test.argmax(), labels[is_test.argmax()]) == (1, 1)
    assert (is_test.sum(), (~is_test).sum(), dataset.resize, dataset.image_size) == (500, 1297, 18, 16)
