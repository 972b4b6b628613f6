"""The parser of ``titok prepare``, apart from the work, so that `titok --help` imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from titok.commands.option_types import whole
from titok.commands.outputs import add_overwrite, shards_there

EXAMPLES = """\
examples:
  titok resolve mine.yaml data all --output data.yaml      which images, from where: the study's section `dataset`
  titok prepare --config data.yaml --output data --jobs 8  everything, on one machine

step by step, as the workflow does on a cluster; the bytes are the same however it is cut:
  titok prepare plan  --config data.yaml --output data --split train              read headers, check sums and labels
  titok prepare part  --config data.yaml --output data --split train --part 3/16  one share of the shards
  titok prepare merge --config data.yaml --output data --split train              one index and manifest of them all

Any step may be killed and run again: finished shards are kept. config/README.md says where archives belong.
"""


def add_prepare(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], run: Callable[[argparse.Namespace], None]
) -> None:
    """Adds the verb."""
    prepare = verbs.add_parser(
        "prepare",
        help="write a dataset as shards with an index and a manifest",
        description="Turns ImageNet's archives, Kaggle's folders, a folder of images or Parquet files into tar shards "
        "that hold the original bytes. Every image is decoded once, so that nothing unreadable is found later.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    prepare.add_argument(
        "step", nargs="?", choices=("all", "plan", "part", "merge"), default="all", help="default: all of them"
    )
    prepare.add_argument("--config", type=Path, required=True, help="resolved settings of the dataset")
    prepare.add_argument("--output", type=Path, required=True, help="folder for the shards")
    prepare.add_argument("--split", choices=("train", "test"), help="for single steps: which split")
    prepare.add_argument("--part", metavar="I/N", help="for the step part: which of how many, from 1")
    prepare.add_argument("--jobs", type=whole(), default=1, help="processes that decode (default: %(default)s)")
    add_overwrite(prepare, shards_there, ours="shards", folders=["output"])
    prepare.set_defaults(run=run)
