"""The command line of ``titok doctor score``. Loads no torch."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from titok.commands.option_types import number, whole
from titok.commands.outputs import add_overwrite, output_and
from titok.commands.shared_options import add_device
from titok.evaluation.mistakes import STEPS

if TYPE_CHECKING:
    Verbs: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

DESCRIPTION = """\
Scores one set of images by every named protocol and then with one thing at a time done otherwise: another reference,
another crop or resize of the reference, other rounding, JPEG, fewer images, other splits. Each kind of image is looked
at once. With --my-number it says which known mistake gives that number.
"""
EXAMPLES = """\
examples:
  titok doctor score reconstructions.npz --originals data/test.index.npz --weights pt_inception-2015-12-05-6726825d.pth
  titok doctor score samples.npz --reference VIRTUAL_imagenet256_labeled.npz --my-number 6.87 --metric gfid \\
      --weights pt_inception-2015-12-05-6726825d.pth
"""


def add_doctor_score(verbs: Verbs, run: Callable[[argparse.Namespace], None]) -> None:
    """Adds ``score`` to the verbs of ``titok doctor``."""
    parser = verbs.add_parser(
        "score",
        help="score images in every known way and explain a number",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="samples (.npz with arr_0) or their folder")
    parser.add_argument(
        "--originals",
        type=Path,
        help="what reconstructions were made from: the index of prepared shards (test.index.npz), or an .npz of images "
        "that were cropped already",
    )
    parser.add_argument("--reference", type=Path, nargs="*", default=[], help="files with mu and sigma (.npz)")
    parser.add_argument("--weights", type=Path, required=True, help="pt_inception-2015-12-05-6726825d.pth")
    parser.add_argument("--sha256", help="what the SHA-256 of the weights must be")
    parser.add_argument("--my-number", type=number(), help="the number to explain")
    parser.add_argument(
        "--metric",
        choices=("rfid", "gfid", "fid", "sfid", "inception_score"),
        default="fid",
        help="what it is (default: %(default)s)",
    )
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS), help="what to try (default: all)")
    parser.add_argument("--no-protocols", dest="protocols", action="store_false", help="only the waterfall")
    parser.add_argument(
        "--written",
        choices=("round", "truncate"),
        default="round",
        help="how the images became 8-bit (default: %(default)s)",
    )
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="(default: %(default)s)")
    parser.add_argument("--batch-size", type=whole(), default=64, help="(default: %(default)s)")
    parser.add_argument("--scratch", type=Path, help="folder for features, 0.6 GB per 50,000 images and kind")
    parser.add_argument("--output", type=Path, help="also write the report there, as JSON")
    add_overwrite(parser, output_and(), folders=["scratch"])
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    add_device(parser)
    parser.add_argument("--workers", type=whole(0), default=0, help="that decode originals (default: %(default)s)")
    parser.set_defaults(run=run)
