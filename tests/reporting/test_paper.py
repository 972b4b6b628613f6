"""The published numbers: found by row and column, unknown rows refused, orderings compared without subtracting.

Run: pytest tests/reporting/test_paper.py
"""

from __future__ import annotations

import pytest

from titok.errors import ScoreError
from titok.reporting.estimates import Estimate
from titok.reporting.paper import PaperValue, read_paper
from titok.reporting.table_notes import pairs_in_order


def sure(value: float) -> PaperValue:
    return PaperValue(value, "high")


def test_values_and_confidence(paper_file):
    paper = read_paper(paper_file)
    assert paper.value("table1/titok-l-32", "rfid") == PaperValue(2.21, "high", 0.05)
    assert paper.value("table1/titok-b-64", "inception_score") == PaperValue(214.7, "low", 6.0)
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


def three(value: float) -> dict[int, float]:
    """Three seeds that scatter by a hundredth."""
    return {0: value - 0.01, 1: value, 2: value + 0.01}


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ([three(3), three(2), three(1)], [sure(30), sure(20), sure(10)], ["agrees"] * 3),
        ([three(3), three(1), three(2)], [sure(30), sure(20), sure(10)], ["agrees", "agrees", "differs"]),
        ([three(3), None, three(1)], [sure(30), sure(20), sure(10)], ["agrees"]),
        ([three(3), three(2)], [sure(30), PaperValue(20, "low")], []),
        ([three(3), three(2)], [sure(30), None], []),
        ([three(3), three(2)], [sure(2.77), sure(2.77)], []),
        ([three(2), three(2)], [sure(2), sure(1)], ["undecided"]),
        # One seed says nothing of the next one; fixed numbers do.
        ([{0: 3.0}, {0: 2.0}], [sure(30), sure(20)], ["undecided"]),
        ([Estimate.exactly(3), Estimate.exactly(2)], [sure(30), sure(20)], ["agrees"]),
    ],
)
def test_pairs_in_the_papers_order(ours, theirs, words):
    assert [found.word for found in pairs_in_order(ours, theirs)] == words
