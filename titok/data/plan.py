"""What a preparation will do: every image of a split, where it is now and which shard it goes to.

A plan is made once from names and headers alone. Shards are cut from it, not from the number of jobs, which is why
any number of jobs writes the same bytes. Two files: ``<split>.plan.json``, and ``<split>.plan.npy`` with one row per
image, which jobs map into memory instead of reading it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from titok.config.data import Preparation
from titok.data.keys import keep_apart
from titok.data.messages import all_of
from titok.errors import DataError, TitokError
from titok.runtime.files import atomic_path, existing_file, read_json, write_json
from titok.runtime.sums import sha256_json

FORMAT = "titok-plan-1"
_CHUNK = 2**16


class SourceError(TitokError):
    """The images found are not those that the study describes: classes, labels, names or numbers do not fit."""


@dataclass
class Listing:
    """The images of a split as they are found, kept compactly: about 80 bytes each."""

    form: str
    """How its images are read: one of `titok.data.sources.kinds.FORMS`."""
    files: list[str]
    """Archives, Parquet files or the one folder; rows name them by number."""
    class_names: list[str]
    sources: list[dict[str, Any]] = field(default_factory=list)
    """What the manifest says about the files."""
    ignored: list[str] = field(default_factory=list)
    """Files of operating systems, and lists beside the classes' folders."""
    refused: list[str] = field(default_factory=list)
    """Why files cannot be used, a sentence each."""
    _chunks: list[np.ndarray] = field(default_factory=list)
    _waiting: list[tuple[Any, ...]] = field(default_factory=list)

    def add(self, key: str, name: str, label: int, *, file: int = 0, offset: int = 0, length: int = 0) -> None:
        """One image.

        ``name`` is what its source calls it, for messages and for folders; ``offset`` and ``length`` are its bytes in
        an archive, or its row group and its row there in a Parquet file.
        """
        self._waiting.append((key.encode(), name.encode("utf-8", "surrogateescape"), label, file, offset, length))
        if len(self._waiting) >= _CHUNK:
            self._pack()

    def refuse(self, reason: str) -> None:
        """Notes a file that cannot be used; ``check`` raises for all of them at once."""
        self.refused.append(reason)

    def check(self) -> None:
        """Raises ``SourceError`` if anything was refused."""
        if self.refused:
            raise SourceError(all_of(self.refused, "files cannot be used"))

    def rows(self) -> np.ndarray:
        """(N,) records with the fields key, name, label, file, offset, length, in the order they were added."""
        self._pack()
        if not self._chunks:
            return np.empty(0, _row_type(1, 1))
        widths = [max(chunk.dtype[name].itemsize for chunk in self._chunks) for name in ("key", "name")]
        rows = np.empty(sum(len(chunk) for chunk in self._chunks), _row_type(*widths))
        end = len(rows)
        while self._chunks:  # From the end, so that each piece is freed once it is copied.
            chunk = self._chunks.pop()
            rows[end - len(chunk) : end] = chunk
            end -= len(chunk)
        return rows

    def keep(self, class_names: Sequence[str]) -> None:
        """Drops the images of all other classes; these are numbered in the order given.

        Raises ``SourceError`` for a class that is not there.
        """
        unknown = sorted(set(class_names) - set(self.class_names))
        if unknown:
            raise SourceError(
                f"{len(unknown)} of the {len(class_names)} classes asked for are not among the "
                f"{len(self.class_names)} found: {', '.join(unknown[:5])}; correct them or leave them out"
            )
        number = np.array([class_names.index(name) if name in class_names else -1 for name in self.class_names])
        rows = self.rows()
        rows["label"] = number[rows["label"]]
        self._chunks = [rows[rows["label"] >= 0]]
        self.class_names = list(class_names)

    def _pack(self) -> None:
        if self._waiting:
            widths = [max(map(len, names)) for names in list(zip(*self._waiting, strict=True))[:2]]
            self._chunks.append(np.array(self._waiting, _row_type(*widths)))
            self._waiting.clear()


def _row_type(key_width: int, name_width: int) -> np.dtype:
    fields = [("key", f"S{key_width}"), ("name", f"S{max(name_width, 1)}"), ("label", "<i4"), ("file", "<u4")]
    return np.dtype([*fields, ("offset", "<i8"), ("length", "<i8")])


@dataclass(frozen=True)
class Plan:
    """A listing in its final order, checked, with everything that jobs need to read it."""

    split: str
    form: str
    files: list[str]
    class_names: list[str]
    sources: list[dict[str, Any]]
    ignored: list[str]
    settings: dict[str, Any]
    """Those of the preparation that made it."""
    num_images: int
    shard_images: int
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, _row_type(1, 1)), repr=False)

    @property
    def num_shards(self) -> int:
        return -(-self.num_images // self.shard_images)

    def shard_rows(self, number: int) -> np.ndarray:
        """The images of one shard."""
        return self.rows[number * self.shard_images : (number + 1) * self.shard_images]

    def part(self, number: int, of: int) -> range:
        """The shards of part ``number`` (from 0) of ``of`` parts: a range of neighbours, so of neighbouring classes."""
        return range(number * self.num_shards // of, (number + 1) * self.num_shards // of)

    def identity(self, number: int) -> str:
        """What a shard depends on, as SHA-256: a shard made for the same identity need not be made again."""
        digest = hashlib.sha256(sha256_json([FORMAT, self.split, self.form, self.sources, number]).encode())
        digest.update(self.shard_rows(number).tobytes())
        return digest.hexdigest()

    @property
    def is_archive(self) -> bool:
        """Whether the files are archives, whose sums were compared when the plan was made."""
        return any("md5" in source for source in self.sources)

    def changed_archives(self) -> list[str]:
        """Archives that are no longer there or no longer as long as when the plan was made."""
        sizes = {source["file"]: source["bytes"] for source in self.sources}
        paths = [Path(path) for path in self.files] if self.is_archive else []
        return [str(path) for path in paths if not path.is_file() or path.stat().st_size != sizes[path.name]]

    def require_unchanged(self) -> None:
        """Raises ``DataError`` if an archive changed since."""
        changed = self.changed_archives()
        if changed:
            raise DataError(f"{changed[0]} is not the archive that the plan was made for; run `titok prepare plan`")

    def where(self, row: np.void) -> str:
        """The archive (or file) and the name of an image, for messages."""
        return f"{self.files[row['file']]}: {name_of(row)}"


def name_of(row: np.void) -> str:
    """What the source calls an image."""
    return bytes(row["name"]).decode("utf-8", "surrogateescape")


def make_plan(listing: Listing, config: Preparation, split: str) -> Plan:
    """Orders and checks what was found; raises ``SourceError`` for what no one would want to train on.

    Images are in the order of their keys, except those of Parquet files, whose rows are shuffled and would cost a
    pass over all files for every job; there the index brings the keys into order.
    """
    listing.check()
    rows = listing.rows()
    if listing.form in ("files", "parquet"):
        rows = keep_apart(rows, listing.class_names, by_class=listing.form == "parquet")
    order = np.argsort(rows["key"], kind="stable")
    _check_unique(rows, order, listing.files)
    if listing.form != "parquet":
        for name in rows.dtype.fields or ():  # One column at a time: the table is in memory once.
            rows[name] = rows[name][order]
    _check_labels(rows, listing.class_names, config, split)
    wanted = getattr(config.images, split) if config.images else len(rows)
    if len(rows) != wanted:
        raise SourceError(
            f"split {split!r} has {len(rows)} images, but dataset.images says {wanted}; find what is missing or too "
            f"much, or correct the number"
        )
    return Plan(
        split=split,
        form=listing.form,
        files=listing.files,
        class_names=listing.class_names,
        sources=listing.sources or [_describe_folder(listing.files[0], rows)],
        ignored=sorted(listing.ignored),
        settings=plan_settings(config),
        num_images=len(rows),
        shard_images=config.shard_images,
        rows=rows,
    )


def plan_settings(config: Preparation) -> dict[str, Any]:
    """The settings that a plan depends on."""
    return config.model_dump(mode="json", exclude={"allow_undecodable", "test_images", "split_seed"})


def save_plan(directory: Path, plan: Plan) -> None:
    """Writes both files; the second one completes the plan."""
    table, head = plan_paths(directory, plan.split)
    with atomic_path(table, expected_bytes=plan.rows.nbytes) as temporary, temporary.open("wb") as stream:
        np.lib.format.write_array(stream, plan.rows, allow_pickle=False)
    about = asdict(replace(plan, rows=np.empty(0)))
    del about["rows"]
    write_json(head, {"format": FORMAT, **about})


def load_plan(directory: Path, split: str) -> Plan:
    """Reads the plan of a split; its rows stay on the disk until they are looked at."""
    table, head = plan_paths(directory, split)
    about = read_json(head)
    if about.pop("format", None) != FORMAT:
        raise SourceError(f"{head} is no plan of format {FORMAT!r}; make it again with `titok prepare plan`")
    try:
        rows = np.load(existing_file(table), mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise SourceError(f"{table} cannot be read ({error}); make the plan again with `titok prepare plan`") from error
    if len(rows) != about["num_images"]:
        raise SourceError(
            f"{table} has {len(rows)} rows, but {head.name} says {about['num_images']}; make the plan again"
        )
    return Plan(**about, rows=rows)


def plan_paths(directory: Path, split: str) -> tuple[Path, Path]:
    """(table, head) of the plan of a split."""
    return directory / f"{split}.plan.npy", directory / f"{split}.plan.json"


def _describe_folder(path: str, rows: np.ndarray) -> dict[str, Any]:
    return {"file": Path(path).name, "images": len(rows), "bytes": int(rows["length"].sum())}


def _check_unique(rows: np.ndarray, order: np.ndarray, files: Sequence[str]) -> None:
    keys = rows["key"][order]
    repeated = np.flatnonzero(keys[1:] == keys[:-1])
    if len(repeated):
        first, second = (rows[order[repeated[0] + step]] for step in (0, 1))
        raise SourceError(
            f"{len(repeated)} image(s) share the key of another one, such as {first['key'].decode()!r}: "
            f"{files[first['file']]}: {name_of(first)} and {files[second['file']]}: {name_of(second)}; "
            f"keep one of them or rename it (of Parquet files, see that no row is matched twice)"
        )


def _check_labels(rows: np.ndarray, class_names: Sequence[str], config: Preparation, split: str) -> None:
    if len(class_names) != config.num_classes:
        shown = json.dumps([*class_names[:3], "..."] if len(class_names) > 3 else list(class_names))
        raise SourceError(
            f"num_classes is {config.num_classes}, but {len(class_names)} classes were found: {shown}; correct either"
        )
    if not len(rows):
        raise SourceError(f"split {split!r} has no images")
    outside = np.flatnonzero((rows["label"] < 0) | (rows["label"] >= config.num_classes))
    if len(outside):
        first = rows[outside[0]]
        raise SourceError(
            f"{name_of(first)} has label {first['label']}; allowed: 0 to {config.num_classes - 1} "
            f"({len(outside)} image(s) of split {split!r} are outside; unlabelled test sets cannot be used)"
        )
    empty = np.flatnonzero(np.bincount(rows["label"], minlength=config.num_classes) == 0)
    if split == "train" and len(empty):
        names = ", ".join(class_names[label] for label in empty[:5])
        raise SourceError(f"{len(empty)} class(es) have no training image: {names}{', ...' if len(empty) > 5 else ''}")
