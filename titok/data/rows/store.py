"""Stored rows: one memory-mapped array of a row for every view of every image, and the facts beside it.

``train.npy`` is (N, V, F), readable with ``numpy.load(..., mmap_mode="r")``. ``train.json`` says what the rows are of
(`Facts`), which part has which SHA-256, and who computed it; it is written last, so an array without it is unfinished.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from titok.data.rows.facts import Facts, RowsError
from titok.data.rows.parts import PartFolder, PartRecord, rows_sha256
from titok.runtime.files import atomic_path, read_json, write_json
from titok.runtime.sums import sha256_json


@dataclass(frozen=True, eq=False)
class RowStore:
    """A finished file of rows."""

    path: Path
    facts: Facts
    rows: np.ndarray
    """(N, V, F), read from the disk when looked at."""
    records: tuple[PartRecord, ...]

    @classmethod
    def open(cls, path: Path) -> RowStore:
        """Opens ``path`` (.npy) without reading the rows.

        Raises:
            FileError: a file is missing or no JSON.
            RowsError: the array is not the one its facts describe, or this version cannot read it.
        """
        document = read_json(facts_beside(path))
        facts = Facts.read(document.get("facts", {}), facts_beside(path))
        try:
            rows = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise RowsError(f"{path} is no readable array ({error}); extract the {facts.what} again") from error
        if rows.dtype != facts.dtype or rows.shape != facts.shape:
            raise RowsError(
                f"{path} holds {rows.dtype} {rows.shape}, but {facts_beside(path).name} speaks of {facts.dtype} "
                f"{facts.shape}; one of them was replaced: extract the {facts.what} again"
            )
        makers = document["made_by"]
        records = tuple(PartRecord(**{**part, "made_by": makers[part["made_by"]]}) for part in document["parts"])
        return cls(path, facts, rows, records)

    @property
    def ids(self) -> np.ndarray:
        """(N, V, K): the rows without the lengths that they may end with."""
        return self.rows[..., :-1] if self.facts.lengths else self.rows

    @property
    def lengths(self) -> np.ndarray | None:
        """(N, V): how many of its ids each view has, where they differ; the rest is 0 and means nothing."""
        return self.rows[..., -1] if self.facts.lengths else None

    @property
    def facts_path(self) -> Path:
        """The JSON file, whose own SHA-256 stands for all of the rows."""
        return facts_beside(self.path)

    def require(self, wanted: Mapping[str, Any], purpose: str) -> None:
        """Raises ``RowsError`` naming every one of the ``wanted`` facts that is another here."""
        found = self.facts.differences(wanted)
        if found:
            raise RowsError(
                f"{self.path} does not fit {purpose}:\n  " + "\n  ".join(found) + f"\nextract {self.facts.what} for "
                "these settings, or go back to the ones they were made with"
            )

    def verify_hashes(self) -> None:
        """Reads every row; raises ``RowsError`` naming the first images whose rows are not those written."""
        for record in self.records:
            if rows_sha256(self.rows[record.first : record.end]) != record.sha256:
                raise RowsError(
                    f"{self.path}: the {self.facts.what} of images {record.first} to {record.end - 1} are not those "
                    f"that were written (SHA-256 {record.sha256[:12]}... expected); the file was altered: extract "
                    f"them again"
                )


def merge(folder: PartFolder, output: Path, *, keep_parts: bool = False) -> RowStore:
    """Joins finished parts into ``output`` and its facts, then deletes them; holds one part in memory.

    Raises ``RowsError`` that names what is missing.
    """
    joined = join(folder)
    facts_beside(output).unlink(missing_ok=True)
    os.replace(joined.path, output)
    os.replace(joined.facts_path, facts_beside(output))
    if not keep_parts:
        folder.remove()
    return RowStore.open(output)


def join(folder: PartFolder) -> RowStore:
    """All parts as one array, in their folder, where it goes away with them; holds one part in memory.

    Raises ``RowsError`` that names what is missing.
    """
    facts, parts, records = folder.facts, folder.facts.parts(), []
    joined = folder.path / "merged.npy"
    size = int(np.prod(facts.shape)) * facts.dtype.itemsize
    with atomic_path(joined, expected_bytes=size) as temporary, temporary.open("wb") as stream:
        header = {"descr": facts.dtype.str, "fortran_order": False, "shape": facts.shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for images in parts:
            found = folder.read(images)
            if found is None:
                raise _incomplete(folder, parts)
            stream.write(found[0].data)
            records.append(found[1])
    write_json(facts_beside(joined), _document(facts, records))
    return RowStore.open(joined)


def facts_beside(path: Path) -> Path:
    """Where the facts about a file of rows are."""
    return path.with_suffix(".json")


def _document(facts: Facts, records: list[PartRecord]) -> dict[str, Any]:
    """The facts file; every computer that worked on parts is described once."""
    makers: dict[str, dict[str, Any]] = {sha256_json(record.made_by): record.made_by for record in records}
    numbers = {name: number for number, name in enumerate(makers)}
    parts = [{**record._asdict(), "made_by": numbers[sha256_json(record.made_by)]} for record in records]
    return {"facts": facts.as_dict(), "made_by": list(makers.values()), "parts": parts}


def _incomplete(folder: PartFolder, parts: list[range]) -> RowsError:
    missing = folder.missing(parts)
    shown = ", ".join(f"{images.start} to {images.stop - 1}" for images in missing[:4])
    return RowsError(
        f"{folder.path}: {len(missing)} of {len(parts)} parts are missing or damaged (images {shown}"
        f"{', ...' if len(missing) > 4 else ''}); run the command that made the others again, it makes only these"
    )
