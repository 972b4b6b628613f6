"""One shard of a preparation: read its images, decode each, write the tar and what was learnt beside it.

``<split>-000012.records.npz`` is written after its tar and names the plan it was made for. So a job that was killed
finds what is finished, and a shard of another plan is not taken for its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from titok.data.examine import ODDITIES, UndecodableError, examine
from titok.data.plan import Plan, name_of
from titok.data.shard_file import ShardFile, shard_name
from titok.data.shard_index import Record, columns_of
from titok.data.sources.source import SourceImages
from titok.runtime.files import FileError, load_npz, save_npz

FORMAT = "titok-records-2"


class Finished(NamedTuple):
    """A shard that is done."""

    columns: dict[str, np.ndarray]
    """Field of ``Record`` -> array (N,)."""
    about: dict[str, Any]
    """``bytes`` and ``samples`` of the tar, ``oddities`` (name -> keys), ``formats`` (name -> number) and
    ``undecodable`` (a list of name, archive, reason)."""


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
