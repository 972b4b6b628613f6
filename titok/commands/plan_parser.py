"""The options of ``titok plan``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from titok.commands.option_types import number, whole
from titok.commands.outputs import add_overwrite, paths_of
from titok.config.shipped import shipped

if TYPE_CHECKING:
    Verbs: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]


def add_plan(verbs: Verbs, run: Callable[[argparse.Namespace], None]) -> None:
    """Adds the verb."""
    plan = verbs.add_parser(
        "plan",
        help="what a study costs before it runs: GPU-hours, wall time, disk",
        description="Walks the workflow of a study and counts the operations of every job; reads no data. Rates come "
        "from a report of `python -m benchmarks` made on such a device, if there is one (--measured, or anywhere below "
        "docs/measurements), otherwise from the device's peak. The plan says which.",
    )
    plan.add_argument("--config", type=Path, required=True, help="a study, e.g. config/imagenet256.yaml")
    plan.add_argument(
        "target", nargs="?", default="paper", help="what is wanted, e.g. table3b, figure4 (default: %(default)s)"
    )
    plan.add_argument("--gpus", type=whole(), default=8, help="of the cluster (default: %(default)s)")
    plan.add_argument(
        "--cores",
        type=whole(),
        help="of a computer without a GPU: hours are then those of its cores, at --gflops-per-core",
    )
    plan.add_argument(
        "--gflops-per-core",
        type=number(0, above=True),
        default=10.0,
        help="with --cores; --compare-with says what a finished study reached (default: %(default)s)",
    )
    plan.add_argument(
        "--gpus-per-job",
        type=whole(),
        help="that a training may take at most (default: what the study's `resources` say, else 8)",
    )
    plan.add_argument("--device", default="A100", help="A100 (the paper's), H100 or H200 (default: %(default)s)")
    plan.add_argument(
        "--utilisation",
        type=number(0, 1, above=True),
        default=0.3,
        help="share of the peak, where nothing is measured (default: %(default)s)",
    )
    plan.add_argument("--measured", type=Path, help="report of `python -m benchmarks --device cuda`")
    plan.add_argument(
        "--budget",
        type=number(0, above=True),
        help="GPU-hours, with --cores core-hours: which targets fit, what they would verify",
    )
    plan.add_argument("--remaining", action="store_true", help="only what is not there yet")
    plan.add_argument("--paper", type=Path, default=shipped("config/paper.csv"), help="the published numbers")
    plan.add_argument(
        "--compare-with",
        type=Path,
        metavar="BENCHMARKS",
        help="logs/<study>/benchmarks of a finished run: how wrong was the plan, rule by rule; --output is then a CSV",
    )
    plan.add_argument("--output", type=Path, help="Markdown file to write")
    plan.add_argument("--json", type=Path, help="JSON file to write")
    add_overwrite(plan, paths_of("output", "json"), ours="plan")
    plan.set_defaults(run=run)
