"""The verbs on stored proxy codes: ``titok codes extract | merge | verify | audit``. Parsers only."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from titok.commands.option_types import whole
from titok.commands.outputs import add_overwrite, output_and
from titok.commands.shared_options import add_device

if TYPE_CHECKING:
    from titok.commands.file_verbs import Lazy, Verbs

EXAMPLES = """\
examples:
  titok resolve config/digits.yaml codes all --output codes.yaml        (needs `proxy_codes:` in the study)
  titok codes extract --config codes.yaml --data data/train.index.npz --vqgan vqgan/model.safetensors \\
      --output codes/train.npy --workers 8 --batch-size 128
  titok codes extract ... --part 3/16        one of 16 jobs; again after being killed: repeats one part at most
  titok codes merge codes/train.npy          after the last of them
  titok codes verify codes/train.npy --data data/train.index.npz --vqgan vqgan/model.safetensors --samples 256
  titok codes audit --config codes.yaml --data data/train.index.npz --vqgan vqgan/model.safetensors --output audit.json
  titok train stage1 ... --codes codes/train.npy
"""
VARIANTS = ("alone", "bf16", "tf32", "jpeg-100", "jpeg-95", "jpeg-90", "jpeg-75", "torchvision")


def add_code_verbs(verbs: Verbs, lazy: Lazy) -> None:
    """Adds ``codes`` with its four kinds."""
    form = argparse.RawDescriptionHelpFormatter
    codes = verbs.add_parser(
        "codes",
        help="proxy codes of a dataset, computed once: extract, merge, verify, audit",
        description="Proxy codes of declared views of every image, computed once and kept for stage 1.",
        epilog=EXAMPLES,
        formatter_class=form,
    )
    kinds = codes.add_subparsers(title="what", metavar="WHAT", required=True)

    extract = kinds.add_parser(
        "extract",
        help="encode the views of a dataset (resumable, in any number of jobs)",
        description="Encodes the views of every image part by part. Without --part and --range everything is made and "
        "merged. A part that is finished is checked and kept, whoever made it.",
        epilog=EXAMPLES,
        formatter_class=form,
    )
    _add_inputs(extract, config=True)
    extract.add_argument("--output", type=Path, required=True, help="array (.npy) to write; parts are kept beside it")
    add_overwrite(extract, output_and(".json"), ours="codes")
    which = extract.add_mutually_exclusive_group()
    which.add_argument("--part", type=_share, metavar="I/N", help="only the I-th of N equal shares, e.g. 3/16")
    which.add_argument("--range", type=_range, metavar="FIRST:END", help="only these images, in whole parts")
    extract.add_argument("--keep-parts", action="store_true", help="do not delete the parts after merging")
    extract.set_defaults(run=lazy("codes", "extract"))

    merge = kinds.add_parser("merge", help="join the parts that several jobs made")
    merge.add_argument("output", type=Path, metavar="FILE", help="the --output of the jobs")
    merge.add_argument("--keep-parts", action="store_true", help="do not delete them")
    merge.set_defaults(run=lazy("codes", "merge_parts"))

    verify = kinds.add_parser("verify", help="check every hash, and some images by encoding them again")
    verify.add_argument("file", type=Path, metavar="FILE", help="what `titok codes extract` wrote")
    _add_inputs(verify)
    verify.add_argument("--samples", type=whole(), default=256, help="images to encode again (default: %(default)s)")
    verify.add_argument("--seed", type=int, default=0, help="which images (default: %(default)s)")
    verify.set_defaults(run=lazy("codes", "verify"))

    audit = kinds.add_parser(
        "audit",
        help="how codes change under bf16, TF32, JPEG re-encoding or another decoder",
        description="Encodes some images in several ways and counts the codes that differ from float32 and Pillow.",
        epilog=EXAMPLES,
        formatter_class=form,
    )
    _add_inputs(audit, config=True)
    audit.add_argument("--output", type=Path, required=True, help="JSON to write; the table is printed")
    add_overwrite(audit, output_and())
    audit.add_argument("--samples", type=whole(), default=64, help="images to look at (default: %(default)s)")
    audit.add_argument("--seed", type=int, default=0, help="which images (default: %(default)s)")
    audit.add_argument("--variants", nargs="+", default=VARIANTS, help="(default: all of them); jpeg-1 to -100")
    audit.set_defaults(run=lazy("code_audit", "audit"))

    for parser in (extract, verify, audit):
        _add_compute(parser)
    extract.add_argument(
        "--precision",
        choices=("fp32", "bf16", "tf32"),
        default="fp32",
        help="of the VQGAN's encoder; part of what the codes are (default: %(default)s; tf32: CUDA only)",
    )


def _add_inputs(parser: argparse.ArgumentParser, *, config: bool = False) -> None:
    if config:
        parser.add_argument(
            "--config", type=Path, required=True, help="resolved settings: titok resolve STUDY codes all"
        )
    parser.add_argument("--data", type=Path, required=True, help="index of the shards, e.g. data/train.index.npz")
    parser.add_argument("--vqgan", type=Path, required=True, help="model file of the proxy VQGAN")


def _add_compute(parser: argparse.ArgumentParser) -> None:
    add_device(parser)
    parser.add_argument("--batch-size", type=whole(), default=32, help="windows at once (default: %(default)s)")
    parser.add_argument("--workers", type=whole(0), default=0, help="that decode images (default: %(default)s)")


def _share(text: str) -> tuple[int, int]:
    number, _, jobs = text.partition("/")
    if not (number.isdigit() and jobs.isdigit()) or not 1 <= int(number) <= int(jobs):
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write I/N with I from 1 to N, e.g. 3/16")
    return int(number), int(jobs)


def _range(text: str) -> tuple[int, int]:
    first, _, end = text.partition(":")
    if not (first.isdigit() and end.isdigit()) or int(first) >= int(end):
        raise argparse.ArgumentTypeError(f"{text!r} is no range; write FIRST:END, e.g. 0:4096")
    return int(first), int(end)
