"""Who owns a results folder: two study files that share a name must not overwrite each other's numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path

from titok.errors import TitokError

OWNER = "study.json"


class OwnerError(TitokError):
    """A results folder belongs to another study file."""


def check_owner(results: Path, study_file: str) -> None:
    """Refuses to work in a folder that another study file wrote, or behind a link to what is not there.

    Raises:
        OwnerError: naming both files and the ways out, or the link.
    """
    for place in (results, *results.parents):
        if place.is_symlink() and not place.exists():
            raise OwnerError(
                f"{place} is a link to {os.readlink(place)}, which is not there; mount or make that folder, or take "
                f"the link away"
            )
    path = results / OWNER
    if not path.exists():
        return
    owner = owner_of(results)
    if os.path.normpath(owner) != os.path.normpath(study_file):
        raise OwnerError(
            f"{results} was written by the study file {owner}, but this run reads {study_file}; nothing was touched. "
            f"Give {study_file} another name (its key `study`), or move {results} away, or, if the file was only "
            f"renamed, edit {path}"
        )


def owner_of(results: Path) -> str:
    """The study file whose results a folder holds, as a path from where the workflow ran.

    Raises:
        OwnerError: nobody owns the folder, or who does cannot be read.
    """
    path = results / OWNER
    if not path.exists():
        raise OwnerError(f"{results} has no {OWNER}: no workflow has begun there; name results/<study>")
    try:
        return str(Path(json.loads(path.read_text(encoding="utf-8"))["study_file"]))
    except (ValueError, KeyError, TypeError) as error:
        raise OwnerError(
            f"{path} is damaged, so nobody knows whose results {results} holds; nothing was touched. If they are "
            f"this study's, delete it, otherwise move the folder away"
        ) from error


def write_owner(results: Path, study_file: str) -> None:
    """Marks a results folder as this study file's."""
    results.mkdir(parents=True, exist_ok=True)
    path = results / OWNER
    if not path.exists():
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"study_file": study_file}, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
