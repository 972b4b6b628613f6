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
        help=f"what is measured, as JSON: {name}, seed and whatever else tables shall tell it by",
    )
