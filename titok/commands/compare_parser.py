"""The command lines of ``titok numbers``, ``evidence`` and ``compare``, of ``titok.commands.compare``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from titok.commands.outputs import add_overwrite, paths_of

if TYPE_CHECKING:
    Verbs: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

COMPARE = """\
examples:
  titok compare results/digits other/results/digits --output compare.html
  titok compare results/digits docs/measurements/digits-numbers.csv     is it what is documented?
  titok compare results/digits before.csv --csv differences.csv --strict

verdicts, seeds of one thing together:
  equal            bit for bit
  within noise     as far apart as seeds are (t interval of the difference, 95 %, 3 seeds or more), or, with fewer,
                   as other images would do (the records' own intervals)
  differ           beyond that
  not judged       different, but there are too few seeds and no interval to say more
  not comparable   measured by another protocol, or bits of runs that cannot have the same ones; the reason is told
  only in A, only in B
Speeds are left out: no two machines share them. docs/compare.md says more.
"""
NUMBERS = "example: titok numbers results/digits --output docs/measurements/digits-numbers.csv"


def add_compare(verbs: Verbs, lazy: Callable[[str, str], Callable[[argparse.Namespace], None]]) -> None:
    """Adds the three verbs; ``lazy`` names a function of a module of commands."""
    compare = verbs.add_parser(
        "compare",
        help="how two runs differ: equal, within noise, or not",
        description="Aligns two runs by what was measured and judges every difference. A and B are results folders or "
        "files that `titok numbers` wrote.",
        epilog=COMPARE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_argument("a", type=Path, metavar="A", help="e.g. results/digits")
    compare.add_argument("b", type=Path, metavar="B", help="e.g. docs/measurements/digits-numbers.csv")
    compare.add_argument("--output", type=Path, help="page (.html) to write: the table, and figures with both runs")
    compare.add_argument("--csv", type=Path, help="the table as CSV")
    compare.add_argument("--strict", action="store_true", help="end with status 1 unless all is equal or within noise")
    add_overwrite(compare, paths_of("output", "csv"))
    compare.set_defaults(run=lazy("compare", "compare"))

    numbers = verbs.add_parser(
        "numbers",
        help="write every number of a run, and sums of its models and samples, as one file to keep",
        description="Writes every metric of every score record and SHA-256 sums of weights, samples and tokens, a "
        "sorted line each, exact. Speeds are left out.",
        epilog=NUMBERS,
    )
    numbers.add_argument("results", type=Path, help="e.g. results/digits")
    numbers.add_argument("--output", type=Path, required=True, help="file (.csv) to write")
    numbers.add_argument(
        "--lock", type=Path, default=Path("requirements.lock"), help="pinned packages, whose sum is noted"
    )
    add_overwrite(numbers, paths_of("output"))
    numbers.set_defaults(run=lazy("compare", "numbers"))
    _add_evidence(verbs, lazy)
    for verb in (compare, numbers):
        verb.add_argument("--scores-only", action="store_true", help="leave out sums of weights, samples and tokens")


def _add_evidence(verbs: Verbs, lazy: Callable[[str, str], Callable[[argparse.Namespace], None]]) -> None:
    evidence = verbs.add_parser(
        "evidence",
        help="write what of a finished study a repository keeps: numbers, tables, figures, page, manifest",
        description="Fills a folder of a few MB, which `titok compare` and `titok where` read in the place of results. "
        "Run again, it replaces what it wrote of the same study.",
        epilog="example: titok evidence results/fashion --output docs/evidence/fashion",
    )
    evidence.add_argument("results", type=Path, help="e.g. results/fashion")
    evidence.add_argument("--output", type=Path, required=True, help="folder to fill, e.g. docs/evidence/fashion")
    evidence.add_argument(
        "--lock", type=Path, default=Path("requirements.lock"), help="pinned packages, whose sum is noted"
    )
    add_overwrite(evidence, lambda options: [options.output / "evidence.json"], ours="evidence", folders=["output"])
    evidence.set_defaults(run=lazy("compare", "evidence"))
