"""Rows on their way to one file: parts that are whole or absent, written by any number of jobs.

Beside ``train.npy`` lies ``train.parts/<identity>/`` with ``facts.json`` and, for each part, ``<first>-<end>.npy``
((images, views, F)) and ``<first>-<end>.json`` (its SHA-256 and who computed it), written in this order. A part counts
when both are there and agree. Facts of another identity have another folder: nothing is mixed or lost.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from titok.data.rows.facts import Facts, RowsError
from titok.runtime.files import FileError, atomic_path, existing_file, read_json, write_json


class PartRecord(NamedTuple):
    """A finished part: its images, the SHA-256 of its rows, and who computed them (plain data)."""

    first: int
    end: int
    sha256: str
    made_by: dict[str, Any]


class PartFolder:
    """The parts of one extraction."""

    def __init__(self, path: Path, facts: Facts) -> None:
        self.path = path
        self.facts = facts

    @classmethod
    def of(cls, output: Path, facts: Facts) -> Self:
        """The folder of parts for the file ``output``; made when the first part is written."""
        return cls(parts_beside(output) / facts.identity, facts)

    @classmethod
    def only(cls, output: Path) -> Self:
        """The one folder of parts beside ``output``; raises ``RowsError`` when there is none, or several."""
        found = sorted(path.parent for path in parts_beside(output).glob("*/facts.json"))
        if not found:
            raise RowsError(f"{parts_beside(output)} holds no parts; run `titok codes extract --output {output}`")
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise RowsError(
                f"{parts_beside(output)} holds parts of {len(found)} extractions ({names}) with different settings, "
                f"told in the facts.json of each; delete those that are not wanted"
            )
        facts = read_json(found[0] / "facts.json")
        return cls(found[0], Facts.read(facts, found[0] / "facts.json"))

    def write(self, images: range, rows: np.ndarray, made_by: Mapping[str, Any]) -> None:
        """Writes the rows (images, views, F) of one part; the record comes last."""
        self._require_sense(images, rows)
        rows = np.ascontiguousarray(rows, self.facts.dtype)
        if not (self.path / "facts.json").exists():
            write_json(self.path / "facts.json", self.facts.as_dict())
        with atomic_path(self._rows(images), expected_bytes=rows.nbytes) as temporary, temporary.open("wb") as stream:
            np.lib.format.write_array(stream, rows, allow_pickle=False)
        record = PartRecord(images.start, images.stop, rows_sha256(rows), dict(made_by))
        write_json(self._rows(images).with_suffix(".json"), record._asdict())

    def _require_sense(self, images: range, rows: np.ndarray) -> None:
        what, expected, highest = self.facts.what, (len(images), *self.facts.shape[1:]), self.facts.highest
        if rows.shape != expected:
            raise RowsError(f"{what} have shape {rows.shape}; images {images.start} to {images.stop} need {expected}")
        if highest is not None and rows.size and (rows.min() < 0 or rows.max() > highest):
            raise RowsError(f"{what} go from {rows.min()} to {rows.max()}; allowed: 0 to {highest}")

    def read(self, images: range) -> tuple[np.ndarray, PartRecord] | None:
        """The rows of a finished part and its record; None when it is missing, half written or altered."""
        try:
            record = PartRecord(**read_json(self._rows(images).with_suffix(".json")))
            rows = np.load(existing_file(self._rows(images)), allow_pickle=False)
        except (FileError, OSError, ValueError, EOFError, TypeError):
            return None
        fits = rows.dtype == self.facts.dtype and rows.shape == (len(images), *self.facts.shape[1:])
        return (rows, record) if fits and rows_sha256(rows) == record.sha256 else None

    def missing(self, parts: list[range]) -> list[range]:
        """Those of ``parts`` that are still to be made; reads and checks the others."""
        return [images for images in parts if self.read(images) is None]

    def remove(self) -> None:
        """Deletes this folder, and the one above if nothing else is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.path.parent.is_dir() and not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()

    def _rows(self, images: range) -> Path:
        return self.path / f"{images.start:09d}-{images.stop:09d}.npy"


def parts_beside(output: Path) -> Path:
    """Where the parts of a file of rows are kept."""
    return output.with_suffix(".parts")


def share(parts: list[range], number: int, jobs: int) -> list[range]:
    """The consecutive parts that job ``number`` (from 1) of ``jobs`` makes; every part belongs to one job."""
    if not 1 <= number <= jobs:
        raise RowsError(f"job {number} of {jobs} does not exist; allowed: 1 to {jobs}")
    return parts[len(parts) * (number - 1) // jobs : len(parts) * number // jobs]


def covering(parts: list[range], first: int, end: int) -> list[range]:
    """The parts that make up images ``first`` to ``end`` - 1; raises ``RowsError`` unless they begin and end there."""
    chosen = [images for images in parts if first <= images.start and images.stop <= end]
    if not chosen or chosen[0].start != first or chosen[-1].stop != end:
        step = len(parts[0]) if parts else 0
        raise RowsError(
            f"images {first} to {end} are no whole parts; begin at a multiple of {step} and end at one, or at "
            f"{parts[-1].stop if parts else 0}, the number of images"
        )
    return chosen


def rows_sha256(rows: np.ndarray) -> str:
    """SHA-256 of the values in C order, without any header."""
    return hashlib.sha256(np.ascontiguousarray(rows).data).hexdigest()
