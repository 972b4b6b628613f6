"""The verbs that extract rows: ``titok codes extract | merge | verify | audit`` and ``titok tokens``. Parsers only."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from titok.commands.option_types import ending, whole
from titok.commands.outputs import add_overwrite, output_and
from titok.commands.shared_options import add_device, add_parts, add_paths, add_workers

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
    add_parts(extract)
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


def add_tokens(verbs: Verbs, lazy: Lazy) -> None:
    """Adds ``tokens``."""
    tokens = verbs.add_parser(
        "tokens",
        help="turn a dataset's images into token ids",
        description="Turns every view of every image into token ids, part by part. A part that is finished is checked "
        "and kept, whoever made it. Without --part and --range all parts are made and joined.",
    )
    add_paths(tokens, config="resolved settings", data="index of the training shards", tokenizer="its model file")
    tokens.add_argument("--output", type=ending(".npz"), required=True, help="token file (.npz) to write")
    add_overwrite(tokens, output_and(), ours="tokens")
    add_device(tokens)
    add_workers(tokens)
    add_parts(tokens)
    tokens.set_defaults(run=lazy("tokens", "extract_tokens"))


def add_external_tokens(verbs: Verbs, lazy: Lazy) -> None:
    """Adds ``external-tokens``."""
    external = verbs.add_parser(
        "external-tokens",
        help="bring in the token ids that another program made of a dataset's images",
        description="Checks the ids that another program made of the training images, one row for each, and writes "
        "them as `titok tokens` writes ours, for `titok train generator`.",
    )
    add_paths(
        external,
        config="resolved settings: titok resolve STUDY external_tokens NAME",
        data="index of the training shards",
        ids="what the other program wrote: .npz with ids (N, K) and names or labels (N,)",
    )
    external.add_argument("--output", type=ending(".npz"), required=True, help="token file (.npz) to write")
    add_overwrite(external, output_and(), ours="external_tokens")
    external.set_defaults(run=lazy("external_tokens", "bring_in"))


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
