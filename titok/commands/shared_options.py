"""Options that many verbs have. Loads no torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from titok.commands.option_types import json_object, subject, whole


def add_paths(parser: argparse.ArgumentParser, **paths: str) -> None:
    """Required path options, `name="what it is"`."""
    for name, description in paths.items():
        parser.add_argument(f"--{name}", type=Path, required=True, help=description)


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:<index> (default: %(default)s)")


def add_execution(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--execution",
        type=json_object,
        help="settings that decide no result, as JSON, over those of --config: how many images at once, how often to "
        "save, where weights lie",
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers",
        type=whole(0),
        default=0,
        help="processes that read and decode images; 0 reads in this one. Results do not depend on it "
        "(default: %(default)s)",
    )


def add_subject(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument(
        "--subject",
        type=subject(name),
        required=True,
        help=f"by which names it is known, as JSON: {name}, seed and whatever else tables shall tell it by (the model "
        "says itself what it is)",
    )


def add_parts(parser: argparse.ArgumentParser) -> None:
    """For verbs that extract rows part by part, in any number of jobs."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--part", type=_share, metavar="I/N", help="only the I-th of N equal shares, e.g. 3/16")
    which.add_argument("--range", type=_range, metavar="FIRST:END", help="only these images, in whole parts")


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
