"""The index beside tar shards: where every sample is, and what its bytes were.

``<split>.index.npy``   one record per sample, a ``numpy`` structured array that readers memory-map
``<split>.index.json``  the head, written last: shard names, sizes and counts, class names, source, fingerprint
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from titok.runtime.files import FileError, atomic_path, existing_file, read_json, sha256_file, write_json

FORMAT = "titok-shards-1"
REPAIR = "delete the split and prepare the dataset again"
MAX_KEY_LENGTH = 80


class ShardError(Exception):
    """A shard, its index or a sample is missing, damaged or refused; the message says which and what to do."""


class Record(NamedTuple):
    """One sample: where its image is and what is known about it."""

    key: str
    shard: int
    """Number of the shard."""
    offset: int
    """Position of the image's first byte in the shard."""
    length: int
    """Bytes of the image."""
    sha1: bytes
    """20 bytes."""
    label: int
    width: int
    height: int
    mode: str
    """Pillow's mode before conversion to RGB."""


def write_index(
    directory: Path,
    split: str,
    records: Sequence[Record],
    shards: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any],
) -> None:
    """Writes records and head; ``shards`` lists name, bytes and samples of each, ``about`` is kept in the head."""
    table = np.array(records, dtype=_record_type(max(len(record.key) for record in records)))
    columns = directory / f"{split}.index.npy"
    with atomic_path(columns, expected_bytes=table.nbytes) as temporary:
        np.save(temporary, table)
    head = {
        "format": FORMAT,
        "split": split,
        "samples": len(table),
        "fingerprint": _fingerprint(table),
        "columns_sha256": sha256_file(columns),
        **about,
        "shards": list(shards),
    }
    write_json(directory / f"{split}.index.json", head)


def read_index(directory: Path, split: str) -> tuple[dict[str, Any], np.ndarray]:
    """The head and the memory-mapped records, checked against each other and against the sizes of the shards."""
    head_path, columns_path = directory / f"{split}.index.json", directory / f"{split}.index.npy"
    try:
        head = read_json(head_path)
        found = sha256_file(existing_file(columns_path))
    except FileError as error:
        raise ShardError(f"split {split!r} of {directory} has no usable index: {error}") from error
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        given = head.get("format") if isinstance(head, dict) else type(head).__name__
        raise ShardError(f"{head_path}: format is {given!r}, this version reads {FORMAT!r}; prepare the dataset again")
    missing = {"samples", "fingerprint", "columns_sha256", "class_names", "source", "shards"} - head.keys()
    if missing:
        raise ShardError(
            f"{head_path}: {', '.join(sorted(missing))} missing, so its format is not {FORMAT!r}; {REPAIR}"
        )
    if found != head["columns_sha256"]:
        raise ShardError(
            f"{columns_path} does not belong to {head_path.name} (SHA-256 {found[:12]}, expected "
            f"{head['columns_sha256'][:12]}); copy both files of one preparation, or {REPAIR}"
        )
    records = np.load(columns_path, mmap_mode="r", allow_pickle=False)
    if not _fits(head, records):
        raise ShardError(f"{head_path}: its shard list does not fit the {len(records)} records beside it; {REPAIR}")
    for shard in head["shards"]:
        _check_size(directory / shard["name"], shard["bytes"])
    return head, records


def _record_type(key_length: int) -> np.dtype[Any]:
    """Columns of the index: about 90 bytes a sample, 115 MB for the 1.28 million of ImageNet."""
    return np.dtype(
        [
            ("key", f"S{key_length}"),
            ("shard", "<u4"),
            ("offset", "<i8"),
            ("length", "<i8"),
            ("sha1", "V20"),
            ("label", "<i4"),
            ("width", "<i4"),
            ("height", "<i4"),
            ("mode", "S8"),
        ]
    )


def _fingerprint(records: np.ndarray) -> str:
    """SHA-256 over keys, contents and labels in order: the same images in other shards have the same fingerprint."""
    columns = np.empty(len(records), dtype=[("key", f"S{MAX_KEY_LENGTH}"), ("sha1", "V20"), ("label", "<i4")])
    for name in ("key", "sha1", "label"):
        columns[name] = records[name]
    return hashlib.sha256(columns.tobytes()).hexdigest()


def _fits(head: Mapping[str, Any], records: np.ndarray) -> bool:
    """Whether every record lies inside a shard of the head and the counts agree."""
    ends = np.array([shard["bytes"] for shard in head["shards"]], dtype=np.int64)
    counts = np.array([shard["samples"] for shard in head["shards"]], dtype=np.int64)
    return (
        len(records) == head["samples"]
        and np.array_equal(np.bincount(records["shard"], minlength=len(ends)), counts)
        and bool(np.all(records["offset"] + records["length"] <= ends[records["shard"]]))
    )


def _check_size(path: Path, expected: int) -> None:
    """One ``stat`` per shard finds what was cut short or never copied."""
    try:
        found = path.stat().st_size
    except FileNotFoundError as error:
        raise ShardError(f"{path} is missing ({expected} bytes expected); copy it here, or {REPAIR}") from error
    if found != expected:
        raise ShardError(f"{path}: {expected} bytes expected, {found} found; it was cut short or replaced: {REPAIR}")
