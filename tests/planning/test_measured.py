"""How wrong a plan was: the fit and the factors by hand, and mistakes in words.

Run: pytest tests/planning/test_measured.py
"""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from titok.planning.costs import Costs, RuleCost
from titok.planning.device_rates import CoreRate
from titok.planning.graph import Job, PlanError
from titok.planning.measured import errors_csv, errors_text, gflops_reached, measured_seconds, rule_errors
from titok.planning.storage import Storage
from titok.planning.work import Work

HEAD = "s\th:m:s\tmax_rss\n"


def costs(**rules: tuple[int, float]) -> Costs:
    """Rule -> (jobs, planned seconds on the planned device)."""
    found = [RuleCost(rule, jobs, seconds / 3600, 0.0, Storage(0, 0)) for rule, (jobs, seconds) in rules.items()]
    return cast(Costs, SimpleNamespace(by_rule=lambda: found))


def write(folder: Path, **rules: list[float]) -> Path:
    for rule, seconds in rules.items():
        (folder / rule).mkdir(parents=True)
        for number, each in enumerate(seconds):
            (folder / rule / f"{number}.tsv").write_text(f"{HEAD}{each}\t0:00:01\t3\n")
    return folder


def test_one_rate_is_fitted_and_what_is_not_counted_stays_out_of_it(tmp_path: Path) -> None:
    folder = write(tmp_path, train=[30.0, 50.0], score=[40.0], draw=[6.0])
    (folder / "page.tsv").write_text(f"{HEAD}2.5\t0:00:02\t3\n")
    measured = measured_seconds(folder)
    assert measured == {"train": [30.0, 50.0], "score": [40.0], "draw": [6.0], "page": [2.5]}
    rows = rule_errors(costs(train=(2, 5.0), score=(1, 1.0), draw=(1, 0.0), page=(1, 0.0), other=(4, 9.0)), measured)
    # 120 s for what was planned as 6 s: a rate of 20, so 100 s and 20 s.
    assert [(row.rule, row.measured, row.planned) for row in rows] == [
        ("train", 80.0, pytest.approx(100.0)),
        ("score", 40.0, pytest.approx(20.0)),
        ("draw", 6.0, 0.0),
        ("page", 2.5, 0.0),
    ]
    assert rows[0].factor == pytest.approx(0.8)
    assert math.isnan(rows[2].factor)
    # In the median of 1.25 and 2; 8.5 of 128.5 seconds.
    assert "off by a factor of 1.6 in the median, 2 at most" in errors_text(rows)
    assert "took 7% of all seconds" in errors_text(rows)
    assert errors_csv(rows).splitlines()[1:3] == ["train,2,80.00,100.00,0.800", "score,1,40.00,20.00,2.000"]


def test_the_rate_that_all_jobs_reached_counts_what_no_plan_counts(tmp_path: Path) -> None:
    jobs = [Job(rule, (), (), {}) for rule in ("train", "train", "draw", "other")]
    work = [
        Work("training", "stage1", 10.0, {"fp32": 3e11}),
        Work("training", "vqgan", 10.0, {"tf32": 1e11}),
        None,
        None,
    ]
    found = cast(Costs, SimpleNamespace(graph=SimpleNamespace(jobs=jobs), work=work))
    measured = measured_seconds(write(tmp_path, train=[30.0, 5.0], draw=[5.0]))
    assert gflops_reached(found, measured) == pytest.approx(400 / 40)
    assert CoreRate(10.0).seconds(work[0]) == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("rules", "planned", "words"),
    [
        ({}, {"train": (1, 1.0)}, r"has no benchmark files .*give logs/<study>/benchmarks"),
        ({"train": [1.0]}, {"train": (2, 1.0)}, "rule train ran 1 jobs, the plan has 2; compare with the benchmark"),
        ({"draw": [1.0]}, {"draw": (1, 0.0)}, "none of the rules that ran has operations"),
    ],
)
def test_another_study_or_none_is_told(
    tmp_path: Path, rules: dict[str, list[float]], planned: dict[str, Any], words: str
) -> None:
    with pytest.raises(PlanError, match=words):
        rule_errors(costs(**planned), measured_seconds(write(tmp_path, **rules)))


def test_a_file_of_something_else_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("x\ty\n1\t2\n")
    with pytest.raises(PlanError, match=r"a\.tsv is no benchmark file of Snakemake"):
        measured_seconds(tmp_path)
