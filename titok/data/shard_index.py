"""The index beside tar shards: where every sample is, and what its bytes were.

``<split>.index.npz`` holds one array per column (N samples each) and ``about``, a JSON text with the names, sizes and
counts of the shards, class names, source and fingerprint. It is written last: a split without index is unfinished.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from titok.errors import TitokError
from titok.runtime.files import FileError, load_npz, save_npz

FORMAT = "titok-shards-1"
_REPAIR = "delete the split and prepare the dataset again"
STAGED = "titok-staged-"
"""How folders of copies on a machine's own disk begin (`titok.data.staging`)."""
MAX_KEY_LENGTH = 80


class ShardError(TitokError):
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


_COLUMNS = {
    "key": f"S{MAX_KEY_LENGTH}",
    "shard": "<u4",
    "offset": "<i8",
    "length": "<i8",
    "sha1": "V20",  # Not "S20": that type would drop trailing zero bytes.
    "label": "<i4",
    "width": "<i4",
    "height": "<i4",
    "mode": "S8",
}
"""Types of the columns. Keys are stored as short as they allow: about 80 bytes a sample, 0.1 GB for ImageNet."""

_CHUNK = 2**16
_INDEX = ".index.npz"


class ShardIndex(NamedTuple):
    """An index in memory: ``columns`` maps the fields of ``Record`` to arrays (N,)."""

    about: dict[str, Any]
    columns: dict[str, np.ndarray]


def index_path(directory: Path, split: str) -> Path:
    """Where the index of a split is."""
    return directory / f"{split}{_INDEX}"


def repair(directory: Path) -> str:
    """What to do about a damaged split: a copy is simply made again."""
    is_copy = directory.name.startswith(STAGED)
    return f"delete the copy {directory}; the next try copies it anew" if is_copy else _REPAIR


def split_of(index: Path) -> tuple[Path, str]:
    """Folder and name of the split whose index a path is: the file that is named is the one that is read.

    Raises `ShardError` unless it ends in ``.index.npz``.
    """
    if not index.name.endswith(_INDEX):
        raise ShardError(f"{index} is no index; give the index of the shards, <split>{_INDEX}")
    return index.parent, index.name.removesuffix(_INDEX)


def columns_of(records: Sequence[Record]) -> dict[str, np.ndarray]:
    """Field of ``Record`` -> array (N,); keys are as short as they allow."""
    values = zip(*records, strict=True) if records else ((),) * len(_COLUMNS)
    columns = {
        name: np.array(column, dtype=kind) for (name, kind), column in zip(_COLUMNS.items(), values, strict=True)
    }
    columns["key"] = columns["key"].astype(f"S{max((len(record.key) for record in records), default=1)}")
    return columns


def write_index(
    directory: Path,
    split: str,
    columns: Mapping[str, np.ndarray],
    shards: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any],
) -> str:
    """Writes the index and returns its fingerprint.

    ``columns`` are those of ``columns_of``, ``shards`` lists name, bytes and samples of each, ``about`` (plain data)
    is kept with them.
    """
    fingerprint = _fingerprint(columns)
    head = {
        "format": FORMAT,
        "split": split,
        "samples": len(columns["key"]),
        "fingerprint": fingerprint,
        **about,
        "shards": list(shards),
    }
    save_npz(index_path(directory, split), about=np.array(json.dumps(head, sort_keys=True)), **columns)
    return fingerprint


def read_index(directory: Path, split: str) -> ShardIndex:
    """The index of a split, checked against itself and against the sizes of the shards."""
    path = index_path(directory, split)
    try:
        arrays = load_npz(path)
    except FileError as error:
        raise ShardError(f"split {split!r} of {directory} has no usable index: {error}") from error
    missing = {"about", *_COLUMNS} - arrays.keys()
    about = json.loads(str(arrays.pop("about"))) if not missing else {}
    if missing or about.get("format") != FORMAT:
        raise ShardError(
            f"{path} is no index of format {FORMAT!r}, the one this version reads; prepare the dataset again"
        )
    index = ShardIndex(about, arrays)
    if not _fits(index):
        raise ShardError(
            f"{path}: its list of shards does not fit its {len(arrays['key'])} samples; {repair(directory)}"
        )
    for shard in about["shards"]:
        _check_size(directory / shard["name"], shard["bytes"])
    return index


def _fingerprint(columns: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over keys, contents and labels in order: the same images in other shards have the same fingerprint."""
    digest = hashlib.sha256()
    for name in ("key", "sha1", "label"):
        column = columns[name]
        for start in range(0, len(column), _CHUNK):  # In pieces, because keys are widened to their full length here.
            digest.update(column[start : start + _CHUNK].astype(_COLUMNS[name]).tobytes())
    return digest.hexdigest()


def _fits(index: ShardIndex) -> bool:
    """Whether the columns are equally long, every sample lies inside a listed shard, and the counts agree."""
    about, columns = index
    ends = np.array([shard["bytes"] for shard in about["shards"]], dtype=np.int64)
    counts = np.array([shard["samples"] for shard in about["shards"]], dtype=np.int64)
    return (
        all(Path(shard["name"]).name == shard["name"] for shard in about["shards"])
        and {len(column) for column in columns.values()} == {about["samples"]}
        and np.array_equal(np.bincount(columns["shard"], minlength=len(ends)), counts)
        and bool(np.all(columns["offset"] + columns["length"] <= ends[columns["shard"]]))
    )


def _check_size(path: Path, expected: int) -> None:
    """One ``stat`` per shard finds what was cut short or never copied."""
    try:
        found = path.stat().st_size
    except FileNotFoundError as error:
        remedy = f"copy it here, or {repair(path.parent)}"
        raise ShardError(f"{path} is missing ({expected} bytes expected); {remedy}") from error
    if found != expected:
        raise ShardError(
            f"{path}: {expected} bytes expected, {found} found; it was cut short or replaced: {repair(path.parent)}"
        )
