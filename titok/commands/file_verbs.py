"""The verbs for anyone with a checkpoint: files in, files out, no study. Parsers only."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from titok.commands.doctor_score_parser import add_doctor_score
from titok.commands.option_types import ending, folder_or, quality, whole
from titok.commands.outputs import add_overwrite, output_and
from titok.commands.shared_options import add_device

if TYPE_CHECKING:
    Verbs: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

Lazy: TypeAlias = Callable[[str, str], Callable[[argparse.Namespace], None]]
"""(module of `titok.commands`, function) -> a command that is imported when it is run."""

_SOURCE = "a folder, a file of weights, a name in config/sources.yaml, or a Hub repository"
_PICTURES = "folder for PNG files, an .npz file, or a .png file for a single picture"


def add_file_verbs(verbs: Verbs, lazy: Lazy) -> None:
    """Adds tokenize, detokenize, reconstruct, tokbench, generate, fetch and doctor."""
    tokenize = verbs.add_parser("tokenize", help="image files to token ids, with any checkpoint")
    _add_images(tokenize)
    tokenize.add_argument("--output", type=ending(".json", ".npz"), required=True, help=".json or .npz to write")
    tokenize.add_argument(
        "--quality",
        type=quality("l1", "psnr", "lpips"),
        metavar="MEASURE=THRESHOLD",
        help="the shortest code of each image that is good enough: l1=0.05 (mean absolute error below), psnr=24 (dB, "
        "above), lpips=0.2 (below); for tokenizers of several lengths (default: the longest code)",
    )
    tokenize.add_argument(
        "--lpips", type=Path, nargs=2, metavar=("VGG16", "HEADS"), help="files of `titok fetch` for --quality lpips"
    )
    add_overwrite(tokenize, output_and())
    tokenize.set_defaults(run=lazy("files", "tokenize"))

    detokenize = verbs.add_parser("detokenize", help="token ids of `titok tokenize` or `generate` to image files")
    detokenize.add_argument(
        "tokens", type=ending(".json", ".npz"), help="what `titok tokenize` or `titok generate` wrote"
    )
    detokenize.add_argument("--output", type=folder_or(".npz", ".png"), required=True, help=_PICTURES)
    detokenize.set_defaults(run=lazy("files", "detokenize"))

    reconstruct = verbs.add_parser("reconstruct", help="image files through a tokenizer and back")
    _add_images(reconstruct)
    reconstruct.add_argument("--output", type=folder_or(".npz", ".png"), required=True, help=_PICTURES)
    reconstruct.set_defaults(run=lazy("files", "reconstruct"))

    tokbench = verbs.add_parser("tokbench", help="TokBench's pictures through a tokenizer, as its scripts read them")
    tokbench.add_argument("images", type=Path, metavar="IMAGES", help="folder `images` of TokBench's data")
    tokbench.add_argument("--size", type=whole(), help="side of the squares for a VQGAN (default: 256)")
    tokbench.add_argument("--output", type=Path, required=True, help="folder to make, called like the tokenizer")
    add_overwrite(tokbench, folders=["output"])
    tokbench.set_defaults(run=lazy("tokbench", "tokbench"))

    for parser in (tokenize, detokenize, reconstruct, tokbench):
        parser.add_argument("--model", required=True, help=f"tokenizer or VQGAN: {_SOURCE}")
    for parser in (detokenize, reconstruct):
        add_overwrite(parser, _archive)
        parser.add_argument(
            "--rounding",
            choices=("truncate", "round"),
            default="truncate",
            help="to 8 bits: as the released demo (truncate) or as the rFID evaluator (default: %(default)s)",
        )
    generate = _add_generate(verbs)
    generate.set_defaults(run=lazy("generate", "generate_images"))
    for parser in (tokenize, detokenize, reconstruct, tokbench, generate):
        _add_compute(parser)
    _add_encoders(verbs).set_defaults(run=lazy("encoders", "encoders"))
    _add_fetch(verbs).set_defaults(run=lazy("fetch", "fetch_weights"))
    doctor = _add_doctor(verbs)
    doctor.set_defaults(run=lazy("doctor", "doctor"))
    kinds = doctor.add_subparsers(title="other checks", metavar="WHAT")
    add_doctor_score(kinds, lazy("doctor_score", "score"))


def _add_generate(verbs: Verbs) -> argparse.ArgumentParser:
    generate = verbs.add_parser("generate", help="images of classes, with any generator and its tokenizer")
    generate.add_argument(
        "--class",
        dest="classes",
        type=whole(0),
        nargs="+",
        required=True,
        metavar="CLASS",
        help="class numbers from 0, e.g. 207 (golden retriever of ImageNet)",
    )
    generate.add_argument("--generator", required=True, help=_SOURCE)
    generate.add_argument("--tokenizer", help=f"{_SOURCE}; not needed for .json")
    generate.add_argument("--sampler", help="titok-l-32, titok-b-64, titok-s-128 or a YAML file (default: its own)")
    generate.add_argument("--per-class", type=whole(), default=1, help="images of each class (default: %(default)s)")
    generate.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    generate.add_argument(
        "--output",
        type=folder_or(".npz", ".png", ".json"),
        required=True,
        help=f"{_PICTURES}, or a .json file for tokens alone",
    )
    add_overwrite(generate, _archive)
    return generate


def _add_encoders(verbs: Verbs) -> argparse.ArgumentParser:
    encoders = verbs.add_parser("encoders", help="frozen networks known by name: tokens, cost, licence; checks weights")
    encoders.add_argument("name", nargs="?", help="one of config/encoders.yaml (default: a table of all)")
    encoders.add_argument("--weights", type=Path, help="a file that must be, and fit, the named one's weights")
    encoders.add_argument("--records", type=Path, help="the list (default: the config/encoders.yaml of this checkout)")
    return encoders


def _add_fetch(verbs: Verbs) -> argparse.ArgumentParser:
    fetch = verbs.add_parser("fetch", help="download released weights and check their SHA-256")
    fetch.add_argument("name", help="a name in config/sources.yaml, e.g. tokenizer_titok_l32, inception")
    fetch.add_argument("--record", action="store_true", help="write the SHA-256 into the list if there is none yet")
    fetch.add_argument(
        "--output",
        type=Path,
        help="folder for the files (default: the Hub's cache, or ./weights for files that are not on the Hub)",
    )
    fetch.add_argument("--sources", type=Path, help="the list (default: the config/sources.yaml of this checkout)")
    return fetch


def _add_doctor(verbs: Verbs) -> argparse.ArgumentParser:
    doctor = verbs.add_parser("doctor", help="check this installation, its device and its numbers")
    add_device(doctor)
    doctor.add_argument("--full", action="store_true", help="also the tokens of a tokenizer of official size (S-128)")
    doctor.add_argument("--weights", help=f"the real TiTok-L-32 tokenizer: {_SOURCE}")
    doctor.add_argument("--config", type=Path, help="its released config, for a bare file of weights")
    doctor.add_argument(
        "--image",
        type=Path,
        nargs="*",
        default=[],
        help="published images (ILSVRC2012_val_00010240.png, ILSVRC2012_val_00008636.png) for --weights",
    )
    doctor.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return doctor


def _archive(options: argparse.Namespace) -> list[Path]:
    """The one file that is written, if it is one; the names of pictures are known to the verb alone."""
    return [options.output] if options.output.suffix in (".npz", ".json") else []


def _add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="image files of any size, or folders")
    parser.add_argument("--size", type=whole(), help="side of the images for a VQGAN (default: 256)")


def _add_compute(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help="released config (.yaml, .json) of a bare file of weights")
    parser.add_argument("--batch-size", type=whole(), default=16, help="(default: %(default)s)")
    add_device(parser)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="(default: %(default)s)")
