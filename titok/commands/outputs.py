"""What every verb says about the files it writes, and the one look at them before it runs. Loads no torch."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from titok.runtime.outputs import require_folder, require_places

Written = Callable[[argparse.Namespace], list[Path]]
"""The files that a verb will write with these options."""

_NO_INPUTS = frozenset({"output", "examples", "pictures", "per_image", "state", "scratch", "json", "written"})
_SOURCES = ("model", "generator", "tokenizer", "weights", "sampler")
"""Options that may be a path or the name of something elsewhere."""


def add_overwrite(
    parser: argparse.ArgumentParser, written: Written | None = None, *, ours: str = "", folders: Sequence[str] = ()
) -> None:
    """Adds ``--overwrite`` and declares what the verb writes, which `check_places` looks at.

    Args:
        written: its files; None where only the verb itself can know, and calls `require_places` before its work.
        ours: function of `titok.commands.ours` that knows files of the same origin, which are replaced without asking.
        folders: options that name a folder to write into.
    """
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files that are there already" + (" and are of another origin" if ours else ""),
    )
    parser.set_defaults(places=(written, ours, tuple(folders)))


def output_and(*endings: str) -> Written:
    """``--output``, where given, and files beside it that have its name with other endings."""

    def written(options: argparse.Namespace) -> list[Path]:
        path: Path | None = options.output
        return [] if path is None else list(dict.fromkeys([path, *(path.with_suffix(ending) for ending in endings)]))

    return written


def paths_of(*names: str) -> Written:
    """The files that these options name."""
    return lambda options: [path for name in names if (path := getattr(options, name)) is not None]


def model_files(*others: str) -> Written:
    """A model folder by its weights: settings, manifest and ``others`` have fixed names."""
    return lambda options: [options.output, *(options.output.with_name(name) for name in ("config.json", *others))]


def sample_files(options: argparse.Namespace) -> list[Path]:
    """One ``.npz``, or what tells whose parts are in a folder, and completes it; facts beside it."""
    output: Path = options.output
    files = [output] if output.suffix == ".npz" else [output / "identity.json", output / "index.json"]
    return [*files, facts_beside(output)]


def facts_beside(samples: Path) -> Path:
    """Where the facts about a sample file or a folder of parts are; a dot in a folder's name begins no ending."""
    return samples.with_suffix(".json") if samples.suffix == ".npz" else samples.with_name(f"{samples.name}.json")


def shards_there(options: argparse.Namespace) -> list[Path]:
    """Files in a folder of shards that have the names of what will be written; which, only the plan knows."""
    output: Path = options.output
    named = (path for split in ("train", "test") for path in output.glob(f"{split}*") if path.is_file())
    return [path for path in named if re.fullmatch(r"\w+(-\d+\.tar|\.index\.npz|\.manifest\.json)", path.name)]


def check_places(options: argparse.Namespace, more_inputs: Sequence[Path] = ()) -> None:
    """Looks at everything that a verb will write; ``more_inputs`` are named in files that it reads.

    Raises:
        OutputError: an output is an input, lies where nothing can be written, or would replace what is not ours.
    """
    if not hasattr(options, "places"):
        return
    written, ours, folders = options.places
    for name in folders:
        if getattr(options, name) is not None:
            require_folder(getattr(options, name))
    if written is not None:
        require_places(
            written(options),
            [*inputs_of(options), *more_inputs],
            overwrite=options.overwrite,
            may_replace=lambda path: bool(ours) and _is_ours(ours, options, path),
        )


def inputs_of(options: argparse.Namespace) -> list[Path]:
    """Every file or folder that the options name for reading."""
    return [path for name, value in vars(options).items() if name not in _NO_INPUTS for path in _paths(name, value)]


def _paths(name: str, value: Any) -> Iterator[Path]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _paths(name, one)
    elif isinstance(value, Path) or (isinstance(value, str) and name in _SOURCES):
        yield Path(value)


def _is_ours(ours: str, options: argparse.Namespace, path: Path) -> bool:
    found: bool = getattr(import_module("titok.commands.ours"), ours)(options, path)
    return found
