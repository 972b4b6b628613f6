"""What is in the files that a study names but does not make: weights and references, known by their SHA-256.

Snakemake would go by their times, and a fresh copy of the same weights would train everything again; or it would not
look at them, and other weights would change nothing. So their sums are part of what identifies a job.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from titok.config.package_files import located
from titok.config.section import KnownBy, Section

MEMORY = "files.json"
"""In a study's results: the sums that the last run went by."""

_UNKNOWN = ""

AnySection = TypeVar("AnySection", bound=Section)


class Known(TypedDict):
    """A file when its sum was made: as long as size and times are these, so is the sum.

    The time of the content is not enough: archives give all their members the same, and weights of one architecture
    have one size. That of the inode is set by every way to put a file in the place of another.
    """

    bytes: int
    mtime_ns: int
    ctime_ns: int
    sha256: str


class FileSums:
    """Sums of files, each made once; of a file that is not here, the one that ``memory`` holds.

    So a study can be planned where its weights are absent, and nothing looks changed.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._known = _remembered(memory) if memory else {}
        self._used: dict[str, Known] = {}

    def of(self, path: str) -> str | None:
        """SHA-256 of a file, or of what a folder's entries say of themselves (there may be 50,000 pictures); None if it
        is absent (or unreadable) and was never seen."""
        known = self._known.get(path)
        try:
            file = located(path)
            facts = file.stat()
            found = Known(bytes=facts.st_size, mtime_ns=facts.st_mtime_ns, ctime_ns=facts.st_ctime_ns, sha256=_UNKNOWN)
            if file.is_dir():
                known = Known(**{**found, "sha256": _of_folder(file)})
            elif known is None or {**known, "sha256": _UNKNOWN} != found:
                with file.open("rb") as stream:
                    found["sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
                known = found
        except OSError:
            pass  # the job that needs it says so
        if known is None:
            return None
        self._known[path] = self._used[path] = known
        return known["sha256"]

    def filled(self, section: AnySection) -> AnySection:
        """The section with the sum of every file whose sum it does not state."""
        changes: dict[str, Any] = {}
        for name, field in type(section).model_fields.items():
            value = getattr(section, name)
            if isinstance(value, Section):
                changes[name] = self.filled(value)
            elif isinstance(value, dict) and any(isinstance(one, Section) for one in value.values()):
                changes[name] = {key: self.filled(one) for key, one in value.items()}
            for mark in field.metadata:
                if isinstance(mark, KnownBy) and value is not None and getattr(section, mark.sum_field) is None:
                    changes[mark.sum_field] = self.of(value)
        return section.model_copy(update=changes)

    def remember(self) -> None:
        """Writes the sums that were asked for, for runs without the files."""
        if self._memory is None or not self._used:
            return
        kept = dict(sorted({**_remembered(self._memory), **self._used}.items()))
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._memory.with_suffix(".tmp")
        temporary.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        temporary.replace(self._memory)


def _of_folder(folder: Path) -> str:
    """Over names, sizes and times of its files."""
    entries = sorted((entry.name, entry.stat()) for entry in os.scandir(folder) if entry.is_file())
    told = "".join(f"{name} {facts.st_size} {facts.st_mtime_ns}\n" for name, facts in entries)
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def _remembered(memory: Path) -> dict[str, Known]:
    """What a memory holds; nothing if there is none, or a damaged one: sums can be made again."""
    try:
        found = json.loads(memory.read_text(encoding="utf-8"))
        return {path: _checked(entry) for path, entry in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _checked(entry: Mapping[str, Any]) -> Known:
    """Memories of before have no time of the inode: a file that is here is looked at again."""
    return Known(
        bytes=int(entry["bytes"]),
        mtime_ns=int(entry["mtime_ns"]),
        ctime_ns=int(entry.get("ctime_ns", -1)),
        sha256=str(entry["sha256"]),
    )
