"""What options may hold: limits, endings and subjects are checked before any work, and nothing given is dropped.

No torch here: every parser of ``titok`` is built from this.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

WEIGHTS_NAME = "model.safetensors"
"""What a model folder calls its weights; readers look for this name."""
_GIVEN = "_given"
"""Where a namespace remembers which options the command line names."""


class Parser(argparse.ArgumentParser):
    """A parser that drops nothing: a list that is named again grows, any other repeated value is refused."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in (None, "store"):
            self.register("action", name, _Store)


class _Store(argparse.Action):
    """As argparse's own, which keeps the last value alone."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        given: frozenset[str] = getattr(namespace, _GIVEN, frozenset())
        if option_string is not None and self.dest in given:
            before = getattr(namespace, self.dest)
            if self.nargs not in ("+", "*"):
                raise argparse.ArgumentError(self, f"is given twice ({before} and {values}); give it once")
            values = [*before, *values]
        setattr(namespace, _GIVEN, given | {self.dest})
        setattr(namespace, self.dest, values)


class JobKinds:
    """Choices that ``titok.config.jobs`` has under a name, looked up when one is given or help is printed.

    Not before: reading the settings' classes takes longer than everything else that ``titok --help`` does.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __iter__(self) -> Iterator[str]:
        return iter(getattr(import_module("titok.config.jobs"), self._name))

    def __contains__(self, value: object) -> bool:
        return value in tuple(self)


def whole(lowest: int = 1, highest: int | None = None) -> Callable[[str], int]:
    """An integer from ``lowest`` to ``highest``."""

    def parse(text: str) -> int:
        allowed = f"allowed: {lowest} " + ("or more" if highest is None else f"to {highest}")
        try:
            value = int(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"is {text}, which is no whole number; {allowed}") from error
        if value < lowest or (highest is not None and value > highest):
            raise argparse.ArgumentTypeError(f"is {value}; {allowed}")
        return value

    return parse


def number(lowest: float = -math.inf, highest: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    """A finite number from ``lowest`` (or, with ``above``, more) to ``highest``."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isfinite(value) and (value > lowest if above else value >= lowest) and value <= highest:
            return value
        limits = "" if lowest == -math.inf else f" {'above' if above else 'from'} {lowest:g}"
        limits += "" if highest == math.inf else f" to {highest:g}"
        raise argparse.ArgumentTypeError(f"is {text}; allowed: finite numbers{limits}")

    return parse


class Quality(NamedTuple):
    """How good an image must be."""

    measure: str
    threshold: float


def quality(*measures: str) -> Callable[[str], Quality]:
    """``MEASURE=THRESHOLD`` of these measures, the threshold above 0."""

    def parse(text: str) -> Quality:
        measure, _, threshold = text.partition("=")
        if measure not in measures or not threshold:
            choices = ", ".join(f"{name}=THRESHOLD" for name in measures)
            raise argparse.ArgumentTypeError(f"is {text}; allowed: {choices}, e.g. {measures[0]}=0.05")
        return Quality(measure, number(0, above=True)(threshold))

    return parse


def ending(*allowed: str) -> Callable[[str], Path]:
    """A path with one of these endings."""

    def path(text: str) -> Path:
        if Path(text).suffix not in allowed:
            raise argparse.ArgumentTypeError(f"{text!r} must end in {' or '.join(allowed)}")
        return Path(text)

    return path


def folder_or(*allowed: str) -> Callable[[str], Path]:
    """A file with one of these endings, or a folder; a name that looks like another file is refused."""

    def path(text: str) -> Path:
        found = Path(text)
        ends_like_a_file = found.suffix[1:].lower() in _FILES
        if found.suffix not in allowed and ends_like_a_file and not os.path.isdir(found):
            raise argparse.ArgumentTypeError(
                f"{text!r} ends in {found.suffix}, which is not written here; give a folder or a name that ends in "
                f"{' or '.join(allowed)}"
            )
        return found

    return path


_FILES = frozenset(
    re.findall(
        r"\w+",
        "avif bin bmp csv gif gz h5 html jfif jp2 jpe jpeg jpg json jsonl md npy npz pdf pkl png pt pth safetensors "
        "svg tar tex tif tiff txt webp yaml yml zip",
    )
)
"""Endings that nobody gives to a folder by intent."""


def weights_name(text: str) -> Path:
    """``FOLDER/model.safetensors``: other files beside it have fixed names, so that the folder is one model's."""
    path = Path(text)
    if path.name != WEIGHTS_NAME:
        folder = path if not path.suffix or os.path.isdir(path) else path.with_suffix("")
        raise argparse.ArgumentTypeError(
            f"{text!r} must be called {WEIGHTS_NAME}, in a folder of its own; write {folder / WEIGHTS_NAME}"
        )
    return path


def json_object(text: str) -> dict[str, Any]:
    """Settings as a JSON object."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no JSON ({error}); write for example '{{\"batch_size\": 8}}'"
        ) from error
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{text} is no JSON object; write for example '{{\"batch_size\": 8}}'")
    return found


def subject(*names: str) -> Callable[[str], dict[str, Any]]:
    """What is scored, as a JSON object with these ``names`` (text) and the whole number ``seed``; more may follow."""

    def parse(text: str) -> dict[str, Any]:
        example = json.dumps({**dict.fromkeys(names, "NAME"), "seed": 0})
        try:
            found = json.loads(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is no JSON ({error}); write for example '{example}'") from error
        problems = _subject_problems(found, names)
        if problems:
            raise argparse.ArgumentTypeError(f"{text} {'; '.join(problems)}; write for example '{example}'")
        return dict(found)

    return parse


def _subject_problems(found: Any, names: Sequence[str]) -> list[str]:
    if not isinstance(found, dict):
        return ["is no JSON object"]
    missing = [name for name in (*names, "seed") if name not in found]
    wrong = [f"has {name} {found[name]!r}, which is no name" for name in names if not _is_name(found.get(name, "-"))]
    if not isinstance(found.get("seed", 0), int) or isinstance(found.get("seed"), bool):
        wrong.append(f"has seed {found['seed']!r}, which is no whole number")
    return ([f"lacks {', '.join(missing)}"] if missing else []) + wrong


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)
