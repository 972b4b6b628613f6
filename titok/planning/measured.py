"""How wrong a plan was: seconds that rules took, by Snakemake's benchmark files, beside what the plan counted for them.

A plan counts operations, and this machine may be none whose rate is known. So one rate is fitted, at which the counted
rules together take the seconds that they took; what is compared is how a plan spreads time over rules. Jobs ran side by
side, each on its own core: seconds are those of jobs, not of the clock on the wall.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from titok.planning.costs import Costs
from titok.planning.graph import PlanError


@dataclass(frozen=True)
class RuleError:
    """A rule as it ran and as it was planned.

    Attributes:
        measured: seconds of all its jobs together.
        planned: the same at the fitted rate; 0 where a plan counts nothing.
        factor: measured over planned; NaN where nothing is planned.
    """

    rule: str
    jobs: int
    measured: float
    planned: float

    @property
    def factor(self) -> float:
        return self.measured / self.planned if self.planned else math.nan


def measured_seconds(folder: Path) -> dict[str, list[float]]:
    """Rule -> seconds of each of its jobs, from ``logs/<study>/benchmarks``.

    Raises:
        PlanError: there are no such files, or one is none of Snakemake's.
    """
    found: dict[str, list[float]] = {}
    for path in sorted(folder.rglob("*.tsv")):
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        with path.open(encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t"))
        if not rows or "s" not in rows[-1]:
            raise PlanError(f"{path} is no benchmark file of Snakemake (a line of names, with `s`); delete it")
        found.setdefault(rule, []).append(float(rows[-1]["s"]))
    if not found:
        raise PlanError(f"{folder} has no benchmark files (*.tsv); give logs/<study>/benchmarks of a finished run")
    return found


def rule_errors(costs: Costs, measured: dict[str, list[float]]) -> list[RuleError]:
    """Every rule that ran and was planned, longest first.

    Raises:
        PlanError: a rule ran another number of jobs than planned (another study, or an unfinished run), or none is
            counted.
    """
    planned = {cost.rule: cost for cost in costs.by_rule()}
    both = [rule for rule in measured if rule in planned]
    for rule in both:
        if len(measured[rule]) != planned[rule].jobs:
            raise PlanError(
                f"rule {rule} ran {len(measured[rule])} jobs, the plan has {planned[rule].jobs}; compare with the "
                f"benchmark files of this very study, finished"
            )
    counted = sum(3600 * planned[rule].gpu_hours for rule in both)
    if not counted:
        raise PlanError("none of the rules that ran has operations that a plan counts; compare with a finished study")
    rate = sum(sum(measured[rule]) for rule in both if planned[rule].gpu_hours) / counted
    rows = [
        RuleError(rule, planned[rule].jobs, sum(measured[rule]), rate * 3600 * planned[rule].gpu_hours) for rule in both
    ]
    return sorted(rows, key=lambda row: -row.measured)


def gflops_reached(costs: Costs, measured: dict[str, list[float]]) -> float:
    """Operations that a plan counts per second that all jobs took, those included of which it counts nothing."""
    counted = sum(
        work.total for job, work in zip(costs.graph.jobs, costs.work, strict=True) if work and job.rule in measured
    )
    return counted / 1e9 / sum(map(sum, measured.values()))


def errors_csv(rows: Sequence[RuleError]) -> str:
    """The table as a file: seconds, and how many times as long as planned."""
    lines = ["rule,jobs,measured_seconds,planned_seconds,measured_over_planned"]
    for row in rows:
        factor = "" if math.isnan(row.factor) else f"{row.factor:.3f}"
        lines.append(f"{row.rule},{row.jobs},{row.measured:.2f},{row.planned:.2f},{factor}")
    return "\n".join([*lines, ""])


def errors_text(rows: Sequence[RuleError]) -> str:
    """The table for people, and a sentence on how wrong the plan was."""
    head = "| rule | jobs | measured, s | planned, s | times as long |\n| --- | ---: | ---: | ---: | ---: |"
    lines = [
        f"| {row.rule} | {row.jobs} | {row.measured:.0f} | {row.planned:.0f} | "
        f"{'' if math.isnan(row.factor) else f'{row.factor:.2g}'} |"
        for row in rows
    ]
    counted = [row for row in rows if row.planned]
    off = [max(row.factor, 1 / row.factor) for row in counted]
    uncounted = sum(row.measured for row in rows if not row.planned) / sum(row.measured for row in rows)
    said = (
        f"At one rate for all, rules are off by a factor of {median(off):.2g} in the median, {max(off):.2g} at most; "
        f"rules that a plan counts nothing for took {uncounted:.0%} of all seconds."
    )
    return "\n".join([said, "", head, *lines, ""])
