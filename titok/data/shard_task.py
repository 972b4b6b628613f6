"""One shard of a preparation: read its images, decode each, write the tar and what was learnt beside it.

``<split>-000012.records.npz`` is written after its tar and names the plan it was made for. So a job that was killed
finds what is finished, and a shard of another plan is not taken for its own.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from titok.data.archives import AGAIN, open_archive
from titok.data.cifar10 import Cifar10Images
from titok.data.examine import ODDITIES, UndecodableError, examine
from titok.data.parquet import ParquetImages
from titok.data.plan import Form, Plan, SourceError, name_of
from titok.data.shard_file import ShardFile, shard_name
from titok.data.shard_index import Record, columns_of
from titok.errors import DataError
from titok.runtime.files import FileError, load_npz, save_npz

FORMAT = "titok-records-2"


class Finished(NamedTuple):
    """A shard that is done."""

    columns: dict[str, np.ndarray]
    """Field of ``Record`` -> array (N,)."""
    about: dict[str, Any]
    """``bytes`` and ``samples`` of the tar, ``oddities`` (name -> keys), ``formats`` (name -> number) and
    ``undecodable`` (a list of name, archive, reason)."""


class SourceImages(Protocol):
    """Bytes of the images of a plan."""

    def read(self, row: np.void) -> bytes:
        """One image, in the file format it has."""


def open_images(plan: Plan) -> SourceImages:
    """What reads the images of a plan from their source."""
    kinds: dict[Form, Callable[[Plan], SourceImages]] = {
        "archive": _ArchiveImages,
        "cifar10": _Cifar10Records,
        "files": _FolderImages,
        "parquet": _ParquetRows,
    }
    return kinds[plan.form](plan)


def write_shard(
    output: Path, plan: Plan, number: int, images: SourceImages, on_image: Callable[[], object] = lambda: None
) -> None:
    """Writes shard ``number`` and its records; images that cannot be decoded are left out and noted."""
    records: list[Record] = []
    notes: dict[str, Any] = {"oddities": {name: [] for name in ODDITIES}, "formats": {}, "undecodable": []}
    with ShardFile(output / shard_name(plan.split, number)) as shard:
        for row in plan.shard_rows(number):
            data, key, label = images.read(row), row["key"].decode(), int(row["label"])
            try:
                header, oddities = examine(data, name_of(row))
            except UndecodableError as error:
                file = Path(plan.files[row["file"]]).name
                notes["undecodable"].append({"name": name_of(row), "file": file, "reason": str(error)})
                continue
            finally:
                on_image()
            offset = shard.write(key, header.extension, data, label)
            sha1 = hashlib.sha1(data).digest()
            records.append(
                Record(key, number, offset, len(data), sha1, label, header.width, header.height, header.mode)
            )
            notes["formats"][header.format] = notes["formats"].get(header.format, 0) + 1
            for oddity in oddities:
                notes["oddities"][oddity].append(key)
        size = shard.close()
    about = {"format": FORMAT, "identity": plan.identity(number), "bytes": size, "samples": len(records), **notes}
    save_npz(records_path(output, plan, number), about=np.array(json.dumps(about)), **columns_of(records))


def finished(output: Path, plan: Plan, number: int) -> Finished | None:
    """What is known of a shard that was made for this very plan, or None when it has yet to be made."""
    try:
        columns = load_npz(records_path(output, plan, number))
        size = (output / shard_name(plan.split, number)).stat().st_size
        about = json.loads(str(columns.pop("about")))
    except (FileError, OSError, KeyError, ValueError):
        return None
    fits = about.get("format") == FORMAT and about["identity"] == plan.identity(number) and about["bytes"] == size
    return Finished(columns, about) if fits else None


def records_path(output: Path, plan: Plan, number: int) -> Path:
    """Where the records of a shard are."""
    return workspace(output) / shard_name(plan.split, number).replace(".tar", ".records.npz")


def workspace(output: Path) -> Path:
    """Folder of plans and records, beside the shards."""
    return output / "preparation"


class _ArchiveImages:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._descriptors: list[int] = []
        _refuse_changed(plan)
        self._descriptors += [open_archive(Path(path)) for path in plan.files]

    def read(self, row: np.void) -> bytes:
        length = int(row["length"])
        data = os.pread(self._descriptors[row["file"]], length, int(row["offset"]))
        if len(data) < length:
            raise DataError(
                f"{self._plan.where(row)} needs {length} bytes, {len(data)} are there; the archive was cut short after "
                f"the plan was made: {AGAIN}, then run `titok prepare plan`"
            )
        return data

    def __del__(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())


class _Cifar10Records:
    def __init__(self, plan: Plan) -> None:
        _refuse_changed(plan)
        self._images = Cifar10Images(Path(plan.files[0]))

    def read(self, row: np.void) -> bytes:
        return self._images.read(int(row["offset"]))


def _refuse_changed(plan: Plan) -> None:
    changed = plan.changed_archives()
    if changed:
        raise DataError(f"{changed[0]} is not the archive that the plan was made for; run `titok prepare plan`")


class _FolderImages:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._root = Path(plan.files[0])

    def read(self, row: np.void) -> bytes:
        try:
            return (self._root / name_of(row)).read_bytes()
        except OSError as error:
            raise SourceError(
                f"{self._plan.where(row)} cannot be read ({error.strerror}); put it back, or run `titok prepare plan`"
            ) from error


class _ParquetRows:
    def __init__(self, plan: Plan) -> None:
        self._images = ParquetImages(plan.files, plan.settings["parquet"]["image_column"])

    def read(self, row: np.void) -> bytes:
        return self._images.read(int(row["file"]), int(row["offset"]), int(row["length"]))
