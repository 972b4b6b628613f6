"""The published numbers: found by row and column, unknown rows refused, orderings compared without subtracting.

Run: pytest tests/reporting/test_paper.py
"""

from __future__ import annotations

import pytest

from titok.errors import ScoreError
from titok.reporting.paper import PaperValue, pair_agreement, read_paper


def sure(value: float) -> PaperValue:
    return PaperValue(value, "high")


def test_values_and_confidence(paper_file):
    paper = read_paper(paper_file)
    assert paper.value("table1/titok-l-32", "rfid") == PaperValue(2.21, "high")
    assert paper.value("table1/titok-b-64", "inception_score") == PaperValue(214.7, "low")
    assert paper.value("table1/dit-xl-2", "rfid") is None


def test_unknown_rows_are_refused_with_those_there_are(paper_file):
    paper = read_paper(paper_file)
    with pytest.raises(ScoreError, match=r"'table1/titok-xl'.*titok-l-32"):
        paper.value("table1/titok-xl", "rfid")
    with pytest.raises(ScoreError, match="tables: table1, table2"):
        paper.value("table99/x", "rfid")


def test_unusable_files_are_refused(tmp_path):
    with pytest.raises(ScoreError, match="no such file"):
        read_paper(tmp_path / "none.csv")
    path = tmp_path / "paper.csv"
    path.write_text("table,row\n")
    with pytest.raises(ScoreError, match="columns are"):
        read_paper(path)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([3.0, 2.0, 1.0], [sure(30), sure(20), sure(10)], (3, 3)),
        ([3.0, 1.0, 2.0], [sure(30), sure(20), sure(10)], (2, 3)),
        ([1.0, 2.0], [sure(2), sure(1)], (0, 1)),
        ([3.0, None, 1.0], [sure(30), sure(20), sure(10)], (1, 1)),
        ([3.0, 2.0], [sure(30), PaperValue(20, "low")], (0, 0)),
        ([3.0, 2.0], [sure(30), None], (0, 0)),
        ([3.0, 2.0], [sure(2.77), sure(2.77)], (0, 0)),
        ([2.0, 2.0], [sure(2), sure(1)], (0, 1)),
    ],
)
def test_pair_agreement(ours, theirs, expected):
    assert pair_agreement(ours, theirs) == expected
