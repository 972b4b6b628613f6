"""Who owns a results folder: two study files that share a name must not overwrite each other's numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path

from titok.errors import TitokError

CLAIM = "study.json"


class ClaimError(TitokError):
    """A results folder belongs to another study file."""


def check_claim(results: Path, study_file: str) -> None:
    """Refuses to work in a folder that another study file wrote.

    Raises:
        ClaimError: naming both files and the ways out.
    """
    path = results / CLAIM
    if not path.exists():
        return
    owner = claimed_study(results)
    if os.path.normpath(owner) != os.path.normpath(study_file):
        raise ClaimError(
            f"{results} was written by the study file {owner}, but this run reads {study_file}; nothing was touched. "
            f"Give {study_file} another name (its key `study`), or move {results} away, or, if the file was only "
            f"renamed, edit {path}"
        )


def claimed_study(results: Path) -> str:
    """The study file whose results a folder holds, as a path from where the workflow ran.

    Raises:
        ClaimError: nobody has claimed the folder, or the claim cannot be read.
    """
    path = results / CLAIM
    if not path.exists():
        raise ClaimError(f"{results} has no {CLAIM}: no workflow has begun there; name results/<study>")
    try:
        return str(Path(json.loads(path.read_text(encoding="utf-8"))["study_file"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ClaimError(
            f"{path} is damaged, so nobody knows whose results {results} holds; nothing was touched. If they are "
            f"this study's, delete it, otherwise move the folder away"
        ) from error


def write_claim(results: Path, study_file: str) -> None:
    """Marks a results folder as this study file's."""
    results.mkdir(parents=True, exist_ok=True)
    path = results / CLAIM
    if not path.exists():
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"study_file": study_file}, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
