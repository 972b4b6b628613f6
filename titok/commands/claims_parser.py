"""The command lines of ``titok claims``, ``where`` and ``facts``; what they do is in ``titok.commands``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from titok.commands.option_types import ending
from titok.commands.outputs import add_overwrite, output_and
from titok.config.shipped import shipped

if TYPE_CHECKING:
    Verbs: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = """\
examples:
  titok claims                                                       what needs no training, measured now
  titok claims --study config/digits.yaml --scores $(find results/digits/scores -name '*.json')
  titok claims --output claims.json                                  for programs; claims.md is for people
  titok claims --format rubric --output rubric.json                  PaperBench's weighted tree, graded
  titok claims --format core-bench --output answers.json             CORE-Bench's answers with prediction intervals
  titok claims --format mlrc --output summary.md                     the reproducibility challenge's one-page summary

words:
  agrees           the whole 95 % interval lies where the paper says: within the tolerance, or on the side claimed
  differs          all of it lies elsewhere
  undecided        it holds both, there are fewer than three seeds, or a number is not finite; says what would decide it
  not comparable   measured by another protocol, on another device or of another architecture; says which key differs
  not run          scores are missing, or come from another dataset; says which
  not checkable    public material cannot decide it; says why
"""


def _written(options: argparse.Namespace) -> list[Path]:
    """The ledger comes twice, for programs and for people; the other forms once."""
    return (output_and(".md") if options.format == "ledger" else output_and())(options)


def add_claims(verbs: Verbs, lazy: Callable[[str, str], Callable[[argparse.Namespace], None]]) -> None:
    """Adds the three verbs; ``lazy`` names a function of a module of commands."""
    claims = verbs.add_parser(
        "claims",
        help="judge every claim of the paper",
        description="Judges the paper's claims by scores of a study, by measurements on the full-size models (no "
        "weights needed) and by the paper's own numbers.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    claims.add_argument("--claims", type=Path, default=shipped("config/claims.yaml"), help="the ledger")
    claims.add_argument("--paper", type=Path, default=shipped("config/paper.csv"), help="the published numbers")
    claims.add_argument("--study", type=Path, help="whose scores are given, e.g. config/digits.yaml")
    claims.add_argument("--scores", type=Path, nargs="*", default=[], help="score records")
    claims.add_argument("--facts", type=Path, help="what `titok facts` wrote; without it, models are measured now")
    claims.add_argument(
        "--format",
        choices=("ledger", "rubric", "core-bench", "mlrc"),
        default="ledger",
        help="every claim with its judgement, or the same for graders",
    )
    claims.add_argument(
        "--output",
        type=ending(".json", ".md"),
        help="JSON to write, of the ledger with a .md beside it; Markdown for mlrc; without it, they are printed",
    )
    add_overwrite(claims, _written, ours="written_together")
    claims.set_defaults(run=lazy("claims", "claims"))

    where = verbs.add_parser(
        "where",
        help="in which studies each claim holds: their judgements side by side",
        description="Reads claims.json of results or evidence folders, whose names are the columns' names. A row per "
        "claim of the ledger; those about ImageNet's numbers are left out, because one study alone could have them. "
        "Words are those of `titok claims`; a claim that a study has no rows for is `not asked`.",
        epilog="example: titok where results/digits results/fashion --not-run imagenet256 --output where.md",
    )
    where.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="e.g. results/digits")
    where.add_argument("--not-run", nargs="*", default=[], metavar="STUDY", help="columns to be filled by somebody")
    where.add_argument("--claims", type=Path, default=shipped("config/claims.yaml"), help="the ledger")
    where.add_argument("--output", type=ending(".md"), help="Markdown to write, the numbers as .csv beside it")
    add_overwrite(where, output_and(".csv"))
    where.set_defaults(run=lazy("where", "where"))

    facts = verbs.add_parser("facts", help="measure the full-size models: tokens, bits, compression, parameters")
    facts.add_argument("--output", type=ending(".json"), required=True, help="JSON to write")
    add_overwrite(facts, output_and(), ours="facts")
    facts.set_defaults(run=lazy("claims", "facts"))
