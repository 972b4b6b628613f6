"""Two judges of one study: ranks against scipy's, pairs that swap beyond their intervals, and the page's section.

Run: pytest tests/reporting/test_judges.py
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from reporting.conftest import rfid
from scipy.stats import spearmanr

from titok.reporting.collect import read_scores
from titok.reporting.judges import agreement, build_judges
from titok.reporting.report import make_report

SCATTER = {"a": (1, -1, 0), "b": (-1, 0, 1), "c": (0, 1, -1), "d": (-1, 1, 0)}
"""No two rows scatter alike, so that seeds in pairs scatter, too."""


def seeds(means: tuple[float, ...], spread: float = 0.1) -> dict[str, dict[int, float]]:
    """Three seeds of each of the four rows around its mean."""
    found = zip(SCATTER.items(), means, strict=True)
    return {row: {seed: mean + spread * off for seed, off in enumerate(offs)} for (row, offs), mean in found}


def test_pairs_are_alike_swapped_or_undecided_by_their_intervals() -> None:
    found = agreement(seeds((1.0, 5.0, 9.0, 9.01)), seeds((10.0, 30.0, 20.0, 50.0)))
    assert found.ranks.value == pytest.approx(spearmanr([1, 5, 9, 9.01], [10, 30, 20, 50]).statistic)
    # a lies below all for both; b and c swap; the first judge cannot tell c from d.
    assert (found.same, found.undecided, len(found.swaps)) == (4, 1, 1)
    [swap] = found.swaps
    assert (swap.better, swap.worse) == ("b", "c")
    assert swap.first.high < 0 < swap.second.low
    assert (swap.first.value, swap.second.value) == pytest.approx((-4.0, 10.0), abs=0.2)


def test_a_swap_within_the_noise_is_none() -> None:
    found = agreement(seeds((1.0, 5.0, 9.0, 13.0)), seeds((4.0, 3.0, 2.0, 1.0), spread=30.0))
    assert (found.swaps, found.same) == ((), 0)
    assert found.undecided == 6


def test_two_seeds_order_nothing() -> None:
    rows = {row: {0: value, 1: value + 0.1} for row, value in zip("abcd", (1.0, 2.0, 3.0, 4.0), strict=True)}
    found = agreement(rows, rows)
    assert (found.ranks.value, found.undecided) == (1.0, 6)


def with_second_judge(tree: Any) -> None:
    """Another judge of all but one size, who likes B better than L, which the first does not."""
    places = {"s": 300.0, "b": 100.0, "l": 200.0}
    for path in tree.scores:
        record = json.loads(path.read_text())
        subject = record["subject"]
        if record["kind"] == "reconstruction" and subject.get("size") in places and subject["num_latent_tokens"] < 8:
            own = rfid(subject["size"], subject["num_latent_tokens"], subject["seed"])
            value = places[subject["size"]] + own
            record["metrics"]["fd_other"] = {"value": value, "label": "Other-FD", "better": "lower", "unit": ""}
            path.write_text(json.dumps(record))


def test_the_table_counts_rows_that_both_measured(seeded: Any) -> None:
    with_second_judge(seeded)
    table = build_judges(read_scores(seeded.scores))
    assert table is not None
    [line] = table.data.to_dict("records")
    # Nine places of stage 1 and the two of stage 2 with fewer than eight tokens.
    assert (line["metric"], line["rows"]) == ("fd_other", 11)
    assert line["same"] + line["swapped"] + line["undecided"] == 11 * 10 / 2
    first, swapped = table.blocks
    assert first.rows[0][0].text == "Other-FD"
    assert f"{line['spearman']:.2f} [{line['low']:.2f}, " in first.rows[0][2].text
    pairs = {(row[0].text, row[1].text) for row in swapped.rows}
    assert ("l1, stage1", "b1, stage1") in pairs
    assert not any(better.startswith("b1, stage1") for better, worse in pairs if worse.startswith("l1"))


def test_a_study_with_one_judge_has_no_such_table(seeded: Any) -> None:
    assert build_judges(read_scores(seeded.scores)) is None


def test_the_page_has_the_section_where_there_are_two_judges(seeded: Any, reporting: Any, paper_file: Any) -> None:
    page = seeded.root / "report.html"
    make = {"title": "Digits", "score_files": seeded.scores, "paper_file": paper_file}
    make_report(reporting, page, **make)
    before = page.read_text()
    assert "Do the judges order" not in before
    with_second_judge(seeded)
    make_report(reporting, page, **make)
    assert "Do the judges order the tokenizers alike?" in page.read_text()
    assert "Other-FD" in page.read_text()
