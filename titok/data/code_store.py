"""Stored proxy codes: one memory-mapped array of codes for every view of every image, and the facts beside it.

``train.npy`` is uint16 (N, views, P), readable with ``numpy.load(..., mmap_mode="r")``. ``train.json`` says what the
codes are of (`CodeFacts`), which part has which SHA-256, and who computed it; it is written last, so an array without
it is unfinished. Letters: N images, P proxy codes per view.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from titok.data.code_facts import CodeFacts, CodesError
from titok.data.code_parts import DTYPE, PartFolder, PartRecord, codes_sha256
from titok.runtime.files import atomic_path, read_json, sha256_json, write_json


@dataclass(frozen=True, eq=False)
class CodeStore:
    """A finished file of codes."""

    path: Path
    facts: CodeFacts
    codes: np.ndarray
    """(N, views, P) uint16, read from the disk when looked at."""
    records: tuple[PartRecord, ...]

    @classmethod
    def open(cls, path: Path) -> CodeStore:
        """Opens ``path`` (.npy) without reading the codes.

        Raises:
            FileError: a file is missing or no JSON.
            CodesError: the array is not the one its facts describe, or this version cannot read it.
        """
        document = read_json(facts_beside(path))
        facts = CodeFacts.read(document.get("facts", {}), facts_beside(path))
        try:
            codes = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise CodesError(f"{path} is no readable array ({error}); extract the codes again") from error
        if codes.dtype != DTYPE or codes.shape != facts.shape:
            raise CodesError(
                f"{path} holds {codes.dtype} {codes.shape}, but {facts_beside(path).name} speaks of {DTYPE} "
                f"{facts.shape}; one of them was replaced: extract the codes again"
            )
        makers = document["made_by"]
        records = tuple(PartRecord(**{**part, "made_by": makers[part["made_by"]]}) for part in document["parts"])
        return cls(path, facts, codes, records)

    @property
    def facts_path(self) -> Path:
        """The JSON file, whose own SHA-256 stands for all of the codes."""
        return facts_beside(self.path)

    def require(self, wanted: Mapping[str, Any], purpose: str) -> None:
        """Raises ``CodesError`` naming every one of the ``wanted`` facts that is another here."""
        found = self.facts.differences(wanted)
        if found:
            raise CodesError(
                f"{self.path} does not fit {purpose}:\n  " + "\n  ".join(found) + "\nextract codes for these "
                "settings, or go back to the ones the codes were made with"
            )

    def verify_hashes(self) -> None:
        """Reads every code; raises ``CodesError`` naming the first images whose codes are not those written."""
        for record in self.records:
            if codes_sha256(self.codes[record.first : record.end]) != record.sha256:
                raise CodesError(
                    f"{self.path}: the codes of images {record.first} to {record.end - 1} are not those that were "
                    f"written (SHA-256 {record.sha256[:12]}... expected); the file was altered: extract them again"
                )


def merge(folder: PartFolder, output: Path, *, keep_parts: bool = False) -> CodeStore:
    """Joins finished parts into ``output`` and its facts, then deletes them; holds one part in memory.

    Raises ``CodesError`` that names what is missing.
    """
    facts, parts, records = folder.facts, folder.facts.parts(), []
    merged = folder.path / "merged.npy"  # in here, what a killed merge leaves goes away with the parts
    size = int(np.prod(facts.shape)) * DTYPE.itemsize
    with atomic_path(merged, expected_bytes=size) as temporary, temporary.open("wb") as stream:
        header = {"descr": DTYPE.str, "fortran_order": False, "shape": facts.shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for images in parts:
            found = folder.read(images)
            if found is None:
                raise _incomplete(folder, parts)
            stream.write(found[0].data)
            records.append(found[1])
    write_json(facts_beside(merged), _document(facts, records))
    facts_beside(output).unlink(missing_ok=True)
    os.replace(merged, output)
    os.replace(facts_beside(merged), facts_beside(output))
    if not keep_parts:
        folder.remove()
    return CodeStore.open(output)


def facts_beside(path: Path) -> Path:
    """Where the facts about a file of codes are."""
    return path.with_suffix(".json")


def _document(facts: CodeFacts, records: list[PartRecord]) -> dict[str, Any]:
    """The facts file; every computer that worked on parts is described once."""
    makers: dict[str, dict[str, Any]] = {sha256_json(record.made_by): record.made_by for record in records}
    numbers = {name: number for number, name in enumerate(makers)}
    parts = [{**record._asdict(), "made_by": numbers[sha256_json(record.made_by)]} for record in records]
    return {"facts": facts.as_dict(), "made_by": list(makers.values()), "parts": parts}


def _incomplete(folder: PartFolder, parts: list[range]) -> CodesError:
    missing = folder.missing(parts)
    shown = ", ".join(f"{images.start} to {images.stop - 1}" for images in missing[:4])
    return CodesError(
        f"{folder.path}: {len(missing)} of {len(parts)} parts are missing or damaged (images {shown}"
        f"{', ...' if len(missing) > 4 else ''}); run `titok codes extract` again, it makes only these"
    )
