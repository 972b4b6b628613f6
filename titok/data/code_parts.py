"""Proxy codes on their way to one file: parts that are whole or absent, written by any number of jobs.

Beside ``train.npy`` lies ``train.parts/<identity>/`` with ``facts.json`` and, for each part, ``<first>-<end>.npy``
(uint16, (images, views, P)) and ``<first>-<end>.json`` (its SHA-256 and who computed it), written in this order. A part
counts when both are there and agree. Facts of another identity have another folder: nothing is mixed or lost.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from titok.data.code_facts import CodeFacts, CodesError
from titok.runtime.files import FileError, atomic_path, existing_file, read_json, write_json

DTYPE = np.dtype("<u2")


class PartRecord(NamedTuple):
    """A finished part: its images, the SHA-256 of its codes, and who computed them (plain data)."""

    first: int
    end: int
    sha256: str
    made_by: dict[str, Any]


class PartFolder:
    """The parts of one extraction."""

    def __init__(self, path: Path, facts: CodeFacts) -> None:
        self.path = path
        self.facts = facts

    @classmethod
    def of(cls, output: Path, facts: CodeFacts) -> PartFolder:
        """The folder of parts for the file ``output``; made when the first part is written."""
        return cls(parts_beside(output) / facts.identity, facts)

    @classmethod
    def only(cls, output: Path) -> PartFolder:
        """The one folder of parts beside ``output``; raises ``CodesError`` when there is none, or several."""
        found = sorted(path.parent for path in parts_beside(output).glob("*/facts.json"))
        if not found:
            raise CodesError(f"{parts_beside(output)} holds no parts; run `titok codes extract --output {output}`")
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise CodesError(
                f"{parts_beside(output)} holds parts of {len(found)} extractions ({names}) with different settings, "
                f"told in the facts.json of each; delete those that are not wanted"
            )
        facts = read_json(found[0] / "facts.json")
        return cls(found[0], CodeFacts.read(facts, found[0] / "facts.json"))

    def write(self, images: range, codes: np.ndarray, made_by: Mapping[str, Any]) -> None:
        """Writes the codes (images, views, P) of one part; the record comes last."""
        expected = (len(images), *self.facts.shape[1:])
        if codes.shape != expected:
            raise CodesError(f"codes have shape {codes.shape}; images {images.start} to {images.stop} need {expected}")
        if codes.size and (codes.min() < 0 or codes.max() >= self.facts.codebook_size):
            raise CodesError(
                f"codes go from {codes.min()} to {codes.max()}; allowed: 0 to {self.facts.codebook_size - 1}"
            )
        codes = np.ascontiguousarray(codes, DTYPE)
        if not (self.path / "facts.json").exists():
            write_json(self.path / "facts.json", self.facts.as_dict())
        with atomic_path(self._codes(images), expected_bytes=codes.nbytes) as temporary, temporary.open("wb") as stream:
            np.lib.format.write_array(stream, codes, allow_pickle=False)
        record = PartRecord(images.start, images.stop, codes_sha256(codes), dict(made_by))
        write_json(self._codes(images).with_suffix(".json"), record._asdict())

    def read(self, images: range) -> tuple[np.ndarray, PartRecord] | None:
        """The codes of a finished part and its record; None when it is missing, half written or altered."""
        try:
            record = PartRecord(**read_json(self._codes(images).with_suffix(".json")))
            codes = np.load(existing_file(self._codes(images)), allow_pickle=False)
        except (FileError, OSError, ValueError, EOFError, TypeError):
            return None
        fits = codes.dtype == DTYPE and codes.shape == (len(images), *self.facts.shape[1:])
        return (codes, record) if fits and codes_sha256(codes) == record.sha256 else None

    def missing(self, parts: list[range]) -> list[range]:
        """Those of ``parts`` that are still to be made; reads and checks the others."""
        return [images for images in parts if self.read(images) is None]

    def remove(self) -> None:
        """Deletes this folder, and the one above if nothing else is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.path.parent.is_dir() and not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()

    def _codes(self, images: range) -> Path:
        return self.path / f"{images.start:09d}-{images.stop:09d}.npy"


def parts_beside(output: Path) -> Path:
    """Where the parts of a file of codes are kept."""
    return output.with_suffix(".parts")


def share(parts: list[range], number: int, jobs: int) -> list[range]:
    """The consecutive parts that job ``number`` (from 1) of ``jobs`` makes; every part belongs to one job."""
    if not 1 <= number <= jobs:
        raise CodesError(f"job {number} of {jobs} does not exist; allowed: 1 to {jobs}")
    return parts[len(parts) * (number - 1) // jobs : len(parts) * number // jobs]


def covering(parts: list[range], first: int, end: int) -> list[range]:
    """The parts that make up images ``first`` to ``end`` - 1; raises ``CodesError`` unless they begin and end there."""
    chosen = [images for images in parts if first <= images.start and images.stop <= end]
    if not chosen or chosen[0].start != first or chosen[-1].stop != end:
        step = len(parts[0]) if parts else 0
        raise CodesError(
            f"images {first} to {end} are no whole parts; begin at a multiple of {step} and end at one, or at "
            f"{parts[-1].stop if parts else 0}, the number of images"
        )
    return chosen


def codes_sha256(codes: np.ndarray) -> str:
    """SHA-256 of the values as little-endian 16 bits in C order, without any header."""
    return hashlib.sha256(np.ascontiguousarray(codes, DTYPE).data).hexdigest()
