"""Markdown, LaTeX and HTML of a table: every cell arrives, special signs are escaped, the markup is well-formed.

Run: pytest tests/reporting/test_writers.py
"""

from __future__ import annotations

import shutil
import subprocess
from xml.etree import ElementTree

import pandas as pd
import pytest

from titok.reporting.cells import PAPER_NOTE, Block, Cell, Table
from titok.reporting.tables import make_table
from titok.reporting.writers import csv, html_table, latex, latex_escape, markdown


@pytest.fixture
def table() -> Table:
    rows = [
        [Cell("A & B_1 | 50 %"), Cell("1.0 ± 0.1"), Cell("2.0 ?", "unsure")],
        [Cell("<script>"), Cell(""), Cell("3.0", "paper")],
    ]
    block = Block("one", ["", "x ↓", "paper"], rows)
    return Table("table9", "Title #9", [block], pd.DataFrame({"x": [1.0, None]}), ["a note"], PAPER_NOTE)


def test_markdown(table):
    lines = markdown(table).splitlines()
    assert lines[0] == "### Title #9"
    body = [line for line in lines if line.startswith("|")]
    assert len({len(line) for line in body}) == 1, "columns are aligned"
    assert body[1].replace("-", "") == "|  | : | : |"
    assert body[2] == "| A & B\\_1 \\| 50 % | 1.0 ± 0.1 | *2.0 ?* |"
    assert lines[-2] == "- a note"
    assert PAPER_NOTE in lines[-1]


def test_latex_escapes_what_would_break_it():
    assert latex_escape(r"a_b & 5 % \ {x} ~^ # $") == (
        r"a\_b \& 5 \% \textbackslash{} \{x\} \textasciitilde{}\textasciicircum{} \# \$"
    )
    assert latex_escape("1 ± 2 ↓") == r"1 $\pm$ 2 $\downarrow$"


def test_latex(table):
    text = latex(table)
    assert r"\begin{tabular}{lrr}" in text
    assert r"A \& B\_1 | 50 \% & 1.0 $\pm$ 0.1 & \textcolor{gray}{2.0 ?} \\" in text
    assert text.count("{") == text.count("}")
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{Title \#9}", r"\label{tab:table9}"):
        assert rule in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(reporting, tree, paper_file, tmp_path):
    names = reporting.tables.names
    for name in names:
        make_table(name, reporting.tables, tree.scores, paper_file, tmp_path / name)
    inputs = "\n".join(rf"\input{{{name}.tex}}" for name in names)
    document = r"\documentclass{article}\usepackage{booktabs,xcolor,graphicx}\begin{document}" + inputs
    (tmp_path / "all.tex").write_text(document + r"\end{document}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]


def test_html_is_well_formed_scoped_and_escaped(table):
    root = ElementTree.fromstring(f"<div>{html_table(table)}</div>")
    container = root.find("div")
    assert container is not None
    assert container.get("class") == "scroll"
    assert [head.get("scope") for head in root.iter("th")] == ["col"] * 3 + ["row"] * 2
    assert [cell.text for cell in root.iter("td")] == ["1.0\xa0±\xa00.1", "2.0\xa0?", None, "3.0"]
    assert [cell.get("class") for cell in root.iter("td")] == ["plain", "unsure", "plain", "paper"]
    assert next(root.iter("caption")).text == "one"
    assert root.find("script") is None


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("1 234.5 [1 068.6, 1 134.6]", ["1 234.5", "[1 068.6, 1 134.6]"]),
        ("177 M (287 M)", ["177 M", "(287 M)"]),
        ("+0.02 within the prediction interval", ["+0.02", "within", "the", "prediction", "interval"]),
        ("44.12 ± 15.19", ["44.12 ± 15.19"]),
        ("7.8 †", ["7.8 †"]),
    ],
)
def test_cells_break_between_numbers_and_never_within(text, pieces):
    block = Block("", ["", "x"], [[Cell("row"), Cell(text)]])
    root = ElementTree.fromstring(f"<div>{html_table(Table('t', 'T', [block], pd.DataFrame()))}</div>")
    found = next(root.iter("td")).text
    assert [piece.replace("\xa0", " ") for piece in str(found).split(" ")] == pieces


def test_regions_are_told_apart(table):
    parts = [Block(title, table.blocks[0].columns, table.blocks[0].rows) for title in ("Generation", "")]
    for name, expected in (
        ("Table 1", ["Table 1: Generation", "Table 1"]),
        ("Table 2", ["Table 2: Generation", "Table 2"]),
    ):
        root = ElementTree.fromstring(f"<div>{html_table(Table('t', name, parts, pd.DataFrame()))}</div>")
        assert [region.get("aria-label") for region in root.iter("div")][1:] == expected


def test_csv_has_no_index(table):
    assert csv(table) == 'x\n1.0\n""\n'
