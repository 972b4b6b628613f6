"""Options of ``titok launch``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from titok.commands.option_types import whole

EPILOG = """\
examples:
  titok launch --gpus 2 train stage1 --config ... --state ... --output ...    one process on each of two free GPUs
  titok launch --gpus 0 score reconstruction ...                              no GPU, even if there are some
"""


def add_launch(verbs: Any, command: Callable[[str, str], Callable[[argparse.Namespace], None]]) -> None:
    """Adds the verb."""
    launch = verbs.add_parser(
        "launch",
        help="start another verb with GPUs of its own",
        description="Takes free GPUs of this machine for another verb, waiting if need be, and starts a training once "
        "on each (torchrun). What the workflow's rules call; the numbers come from the study's section `resources`.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    launch.add_argument("--gpus", type=whole(0), default=1, help="on each machine; 0 hides them (default: %(default)s)")
    launch.add_argument(
        "--device",
        choices=("cuda", "cpu"),
        default="cuda",
        help="what a verb with GPUs computes on, unless its own --device says otherwise; cpu leaves them idle, to try "
        "out how processes share work (default: %(default)s, an error where torch cannot use them)",
    )
    launch.add_argument(
        "--stage-to", metavar="FOLDER", help="what a training is told, unless its own --stage-to says otherwise"
    )
    launch.add_argument("--nodes", type=whole(), default=1, help="machines, with --srun (default: %(default)s)")
    launch.add_argument("--cpus", type=whole(), default=1, help="cores of each machine (default: %(default)s)")
    launch.add_argument("--srun", action="store_true", help="inside a Slurm job: start as a step of it, on all nodes")
    launch.add_argument("--in-step", action="store_true", help=argparse.SUPPRESS)
    launch.add_argument("verb", nargs=argparse.REMAINDER, help="the verb and all its options")
    launch.set_defaults(run=command("launch", "launch"))
