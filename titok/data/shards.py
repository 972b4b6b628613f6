"""Tar shards in WebDataset naming, written once and read by position.

A split ``train`` of a folder is ``train-000000.tar``, ... with members ``<key>.png|jpg`` (the original bytes) and
``<key>.cls`` (the label as text), and the index of ``titok.data.shard_index`` beside them. The index makes every sample
one ``pread`` away, which is what exact epochs, resuming and any number of processes need; WebDataset itself can read
the same tars. Equal samples give equal bytes: no times, no owners.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from PIL import Image

from titok.data.pictures import to_rgb
from titok.data.shard_file import KEY, ShardFile, read_header, shard_name
from titok.data.shard_index import MAX_KEY_LENGTH, Record, ShardError, columns_of, read_index, repair, write_index


class ShardWriter:
    """Writes one split; a context manager that writes the index when its block ends well.

    A shard is closed when the next sample would take it over ``max_samples`` or ``max_bytes``. ``source`` (plain data:
    where the images come from, their licence) and ``class_names`` are kept in the index.
    """

    def __init__(
        self,
        directory: str | Path,
        split: str,
        *,
        class_names: Sequence[str] = (),
        source: Mapping[str, Any] | None = None,
        max_samples: int = 10_000,
        max_bytes: int = 2**30,
    ) -> None:
        self._directory = Path(directory)
        self._split = split
        self._about = {"class_names": list(class_names), "source": dict(source or {})}
        self._max_samples = max_samples
        self._max_bytes = max_bytes
        self._records: list[Record] = []
        self._keys: set[str] = set()
        self._shards: list[dict[str, Any]] = []
        self._tar: ShardFile | None = None

    def write(self, key: str, image: bytes, label: int) -> None:
        """Adds one sample: the bytes of a PNG or JPEG file as they are, and its class.

        Raises ``ShardError`` for a key that is no safe file name or was used before, for bytes that are no PNG or
        JPEG (the content decides, not a name), and for a label outside ``class_names`` (if given) or below 0.
        """
        self._check(key, label)
        header = read_header(key, image)
        tar = self._tar_with_room_for(2 * tarfile.BLOCKSIZE + len(image) + len(str(label)))
        offset = tar.write(key, header.extension, image, label)
        self._keys.add(key)
        self._shards[-1]["samples"] += 1
        sha1 = hashlib.sha1(image).digest()
        shard = len(self._shards) - 1
        facts = (header.width, header.height, header.mode)
        self._records.append(Record(key, shard, offset, len(image), sha1, label, *facts))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            if self._tar is not None:
                self._tar.__exit__(kind, error, traceback)
            return
        if not self._records:
            raise ShardError(f"{self._split}: no sample was written to {self._directory}; a split needs at least one")
        self._close_shard()
        write_index(self._directory, self._split, columns_of(self._records), self._shards, self._about)

    def _check(self, key: str, label: int) -> None:
        if not KEY.fullmatch(key):
            raise ShardError(
                f"{self._split}: sample key {key!r} is not allowed; use 1 to {MAX_KEY_LENGTH} letters, digits, "
                f"'-' and '_' (WebDataset ends a key at the first dot, and paths could leave the folder)"
            )
        if key in self._keys:
            raise ShardError(f"{self._split}: sample key {key!r} was already written; keys must be unique")
        num_classes = len(self._about["class_names"]) or 2**31
        if not 0 <= label < num_classes:
            raise ShardError(f"{self._split}: sample {key!r} has label {label}; allowed: 0 to {num_classes - 1}")

    def _tar_with_room_for(self, size: int) -> ShardFile:
        """The current shard, or a new one when ``size`` more bytes or one more sample are too many."""
        if self._tar is not None:
            full = self._shards[-1]["samples"] >= self._max_samples or self._tar.size + size > self._max_bytes
            if full:
                self._close_shard()
        if self._tar is None:
            name = shard_name(self._split, len(self._shards))
            self._tar = ShardFile(self._directory / name)
            self._shards.append({"name": name, "bytes": 0, "samples": 0})
        return self._tar

    def _close_shard(self) -> None:
        if self._tar is not None:
            tar, self._tar = self._tar, None
            self._shards[-1]["bytes"] = tar.close()


class ShardReader:
    """Samples of one split by number, from any thread or process.

    Opening checks the index and every shard's size; ``verify`` also compares each sample's SHA-1 when it is first read
    (about 0.1 ms for a photograph). Shards are opened when first needed and read with ``pread``, which shares no
    position, so that a reader survives ``fork``; a pickled reader opens its files again.
    """

    def __init__(self, directory: str | Path, split: str, *, verify: bool = True) -> None:
        self._directory = Path(directory)
        self._split = split
        self._verify = verify
        self._descriptors: dict[int, int] = {}
        self._about, self._columns = read_index(self._directory, split)
        self._paths = [self._directory / shard["name"] for shard in self._about["shards"]]
        self._unverified = np.full(len(self), verify)

    def __len__(self) -> int:
        return len(self._columns["key"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 over keys, contents and labels of the split."""
        return str(self._about["fingerprint"])

    @property
    def split(self) -> str:
        """The split that was written, whatever its index is called now."""
        return str(self._about["split"])

    @property
    def class_names(self) -> list[str]:
        return list(self._about["class_names"])

    @property
    def keys(self) -> np.ndarray:
        """(N,) names of the samples, as text."""
        return self._columns["key"].astype(str)

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64 classes."""
        return self._columns["label"].astype(np.int64)

    def read(self, index: int) -> bytes:
        """The original file bytes of sample ``index``; raises ``ShardError`` when they are not those written."""
        shard, offset, length = (int(self._columns[name][index]) for name in ("shard", "offset", "length"))
        data = os.pread(self._descriptor(shard), length, offset)
        if len(data) != length:
            raise ShardError(
                f"{self.name(index)}: {length} bytes expected, {len(data)} found; the shard was cut short: "
                f"{repair(self._directory)}"
            )
        if self._unverified[index]:
            self._compare(index, data)
        return data

    def _compare(self, index: int, data: bytes) -> None:
        found, expected = hashlib.sha1(data).digest(), self._columns["sha1"][index].tobytes()
        if found != expected:
            raise ShardError(
                f"{self.name(index)}: its {len(data)} bytes are not those that were written (SHA-1 "
                f"{found.hex()[:12]}, expected {expected.hex()[:12]}); the shard was altered: "
                f"{repair(self._directory)}"
            )
        self._unverified[index] = False

    def image(self, index: int) -> Image.Image:
        """Sample ``index`` decoded by Pillow and converted to RGB; EXIF orientation is ignored (specification 9)."""
        try:
            with Image.open(io.BytesIO(self.read(index))) as image:
                return to_rgb(image)
        except (OSError, SyntaxError, ValueError, RuntimeError, Image.DecompressionBombError) as error:
            raise ShardError(
                f"{self.name(index)}: cannot be decoded ({error}); the original file is damaged: "
                f"replace it or leave it out, then prepare the dataset again"
            ) from error

    def size(self, index: int) -> tuple[int, int]:
        """(width, height) of sample ``index`` as its file says, without opening it."""
        return int(self._columns["width"][index]), int(self._columns["height"][index])

    def name(self, index: int) -> str:
        """Sample ``index`` as messages call it: its shard, number and key."""
        path, key = self._paths[int(self._columns["shard"][index])], self._columns["key"][index].decode()
        return f"{path}: sample {index} ({key})"

    def close(self) -> None:
        """Closes the shards; the next read opens them again."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"directory": self._directory, "split": self._split, "verify": self._verify}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _descriptor(self, shard: int) -> int:
        descriptor = self._descriptors.get(shard)
        if descriptor is not None:
            return descriptor
        path = self._paths[shard]
        try:
            opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            remedy = "raise `ulimit -n`" if error.errno == errno.EMFILE else repair(path.parent)
            raise ShardError(f"{path}: cannot be opened ({error.strerror}); {remedy}") from error
        kept = self._descriptors.setdefault(shard, opened)
        if kept != opened:  # Another thread was faster.
            os.close(opened)
        return kept
