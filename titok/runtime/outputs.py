"""Where results go, looked at before any work: no input is overwritten, nothing of somebody else's, and a place that
cannot be written is found while it costs nothing."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from titok.errors import TitokError, some_of

READ_IN_FOLDERS = ("config.json", "*.safetensors", "*.bin", "*.index.json", "index.json", "part-*.npz")
"""What is read where an input is a folder: a model's files, or parts of samples. Pictures are named one by one."""
_READ_OF_RESULTS = ("scores/**/*.json", "**/*.safetensors", "**/*.npz", "**/index.json", "**/manifest.json")
"""What is read where it is a study's results."""
SHOWN = 4
_LONGEST_NAME = 255
"""Bytes."""
_STREAMS = frozenset({"/dev/stdin", "/dev/stdout", "/dev/stderr"})
"""Links to what a process was given, be it a file: a result would take the place of the link itself."""


class OutputError(TitokError):
    """A result cannot or must not go where it was asked to go; nothing was done."""


def require_places(
    outputs: Iterable[Path],
    inputs: Iterable[Path] = (),
    *,
    overwrite: bool = False,
    may_replace: Callable[[Path], bool] = lambda path: False,
) -> None:
    """Looks at every file that a run will write, before it begins.

    Args:
        outputs: these files.
        inputs: files and folders that the run reads; they are never overwritten. Links are followed.
        overwrite: whether other files may be replaced.
        may_replace: whether an existing file is one that this run may replace without being told so.

    Raises:
        OutputError: names the output, what is in its way, and what to do.
    """
    outputs = list(outputs)
    _require_different(outputs)
    for output in outputs:
        _require_file(output)
    longest = {output.parent: output for output in sorted(outputs, key=lambda output: len(output.name))}
    for folder, output in longest.items():
        _try(folder, output)
    existing = [output for output in outputs if os.path.exists(output)]
    read = {_identity(file): file for path in inputs for file in _files_of(path)} if existing else {}
    for output in existing:
        if _identity(output) in read:
            _refuse_input(output, read[_identity(output)])
    in_the_way = [] if overwrite else [path for path in outputs if os.path.lexists(path) and not may_replace(path)]
    if in_the_way:
        raise OutputError(
            f"{some_of(in_the_way, SHOWN)} {'is' if len(in_the_way) == 1 else 'are'} there already and nothing that "
            f"this run may replace; name another place, or add --overwrite"
        )


def require_folder(folder: Path) -> None:
    """Raises `OutputError` unless files can be written into this folder, which need not be there yet.

    It makes no folder and leaves nothing behind.
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise OutputError(f"{folder} is a file; name a folder")
    _try(folder, folder)


def temporary_beside(path: Path) -> Path:
    """A name of its own for what will be called ``path``; it keeps the ending, for writers that look at it.

    Where ``path`` has as long a name as file systems take, it has less of it.
    """
    end = f".{os.getpid()}-{secrets.token_hex(4)}.partial{path.suffix}"
    start = os.fsencode(f".{path.stem}")[: _LONGEST_NAME - len(os.fsencode(end))]
    return path.with_name(start.decode(errors="ignore") + end)


def _try(folder: Path, output: Path) -> None:
    """Makes and removes an empty file in the nearest folder that is there; what it may do, only trying tells."""
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
        if not os.path.isdir(there):
            raise OutputError(f"{output} cannot be written: {there} is no folder; name another place")
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(output)  # a name may be too long
        probe = there / temporary_beside(output.absolute()).name
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        probe.unlink()
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror or error}; name another place") from error


def _require_file(output: Path) -> None:
    """Refuses what is there and no file: a result is moved to where it is, and reading a pipe before may never end."""
    if os.path.isdir(output):
        raise OutputError(f"{output} is a folder; name a file in it")
    is_other = os.path.exists(output) and not os.path.isfile(output)
    if is_other or os.path.abspath(output) in _STREAMS:
        raise OutputError(
            f"{output} is a pipe or a device, and a result would take its place; name a file (what a verb can print, "
            f"it prints without --output)"
        )


def _require_different(outputs: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for output in outputs:
        other = seen.setdefault(os.path.realpath(output), output)
        if other is not output:
            raise OutputError(f"{other} and {output} are the same file, and both would be written; name two")


def _identity(file: Path) -> tuple[int, int]:
    """Equal for all names of a file, through links of any kind."""
    status = file.stat()
    return status.st_dev, status.st_ino


def _refuse_input(output: Path, file: Path) -> NoReturn:
    same = "" if file == output else f" (both are {output.resolve()})"
    raise OutputError(
        f"{output} would overwrite the input {file}{same}; inputs are never overwritten: name another place"
    )


def _files_of(path: Path) -> Iterator[Path]:
    """The files that are read where ``path`` is named."""
    with contextlib.suppress(OSError):
        if path.is_dir():
            has_scores = (path / "scores").is_dir()
            for pattern in (*READ_IN_FOLDERS, *(_READ_OF_RESULTS if has_scores else ())):
                yield from (file for file in path.glob(pattern) if file.is_file())
        elif path.exists():
            yield path
            # Read together with it: a model's settings, facts about samples.
            beside = path.with_name("config.json"), path.with_suffix(".json")
            yield from (file for file in beside if path.suffix in (".safetensors", ".bin", ".npz") and file.is_file())
