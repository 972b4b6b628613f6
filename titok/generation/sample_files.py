"""Large sets of samples on the disk: ADM-compatible parts that survive an interruption, an index, and one file of all.

50,000 images of 256 x 256 are 9.8 GB. They never lie in memory: finished batches go into parts of some 128 MiB, each an
``.npz`` with ``arr_0`` (images), ``labels``, ``index`` (places in the whole set) and, where samples have lengths of
their own, ``lengths`` (tokens of each).
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from titok.errors import OptionError
from titok.generation.sample import SampleBatch
from titok.runtime.files import atomic_path, load_npz, read_json, save_npz, sha256_file, write_json
from titok.runtime.npz_rows import read_shape
from titok.runtime.progress import progress
from titok.runtime.system_names import is_hidden

IMAGES = "arr_0"
"""The name ADM's evaluator gives to the images of a sample file."""
LENGTHS = "lengths"
"""Of the number of tokens of each sample."""
INDEX = "index.json"
"""What a folder of parts is made complete by."""
PART_BYTES = 128 * 2**20
"""Pixels after which a part is closed; what an interruption can cost."""


@dataclass(frozen=True)
class _Part:
    """One finished file."""

    path: Path
    first: int
    count: int
    shape: tuple[int, ...]
    """(H, W, 3)"""
    timed_images: int
    timed_seconds: float


class SampleParts:
    """A folder of finished parts; parts of other samples in it are removed, and nothing else.

    Args:
        folder: theirs alone.
        identity: whatever determines the samples (settings, seed, sums of the models), as plain data.
        num_samples: N of the whole set.

    Raises:
        OptionError: the folder holds something else than samples.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], num_samples: int) -> None:
        self.folder = folder
        self.num_samples = num_samples
        self._identity = folder / "identity.json"
        if not self._identity.exists() or read_json(self._identity) != identity:
            _clear(folder)
            write_json(self._identity, identity)
        self._parts = list(_finished(folder))

    @property
    def count(self) -> int:
        """Samples that are finished; they are the first ones."""
        return sum(part.count for part in self._parts)

    @property
    def images_per_second(self) -> float | None:
        """Over all batches but the first of each run, which also warms the device up; None if there were no others."""
        seconds = sum(part.timed_seconds for part in self._parts)
        return sum(part.timed_images for part in self._parts) / seconds if seconds else None

    def extend(self, batches: Iterable[SampleBatch]) -> None:
        """Adds the samples after the first ``count``, with a progress bar.

        Raises:
            OptionError: they are not these, or not all that are missing.
        """
        waiting: list[SampleBatch] = []
        is_warm = False
        timed_images, timed_seconds = 0, 0.0
        with progress(self.num_samples, self.count, desc="sampling", unit="image") as bar:
            for batch in batches:
                if is_warm:
                    timed_images, timed_seconds = timed_images + len(batch.labels), timed_seconds + batch.seconds
                is_warm = True
                waiting.append(batch)
                if sum(one.images.nbytes for one in waiting) >= PART_BYTES:
                    self._close(waiting, timed_images, timed_seconds)
                    waiting, timed_images, timed_seconds = [], 0, 0.0
                bar.update(len(batch.labels))
        if waiting:
            self._close(waiting, timed_images, timed_seconds)
        if self.count != self.num_samples:
            raise OptionError(
                f"expected {self.num_samples} samples, got {self.count}; ask for as many as there are labels"
            )

    def _close(self, batches: Sequence[SampleBatch], timed_images: int, timed_seconds: float) -> None:
        images = np.concatenate([batch.images for batch in batches])
        index = np.concatenate([batch.indices for batch in batches])
        if not np.array_equal(index, np.arange(self.count, self.count + len(index))):
            raise OptionError(f"samples {index[0]} to {index[-1]} came, {self.count} was the next; keep their order")
        path = self.folder / f"part-{self.count:06d}.npz"
        timing = np.array([timed_images, timed_seconds])
        labels = np.concatenate([batch.labels for batch in batches])
        known = [batch.lengths for batch in batches if batch.lengths is not None]
        lengths = {LENGTHS: np.concatenate(known)} if known else {}
        save_npz(path, **{IMAGES: images}, labels=labels, index=index, **lengths, timing=timing)
        self._parts.append(_Part(path, int(index[0]), len(index), tuple(images.shape[1:]), timed_images, timed_seconds))

    def write_index(self) -> None:
        """Says in the folder that it is complete, and what its parts are."""
        parts = [
            {"file": part.path.name, "first": part.first, "count": part.count, "sha256": sha256_file(part.path)}
            for part in self._parts
        ]
        shape = [self.num_samples, *self._parts[0].shape]
        write_json(self.folder / INDEX, {"num_samples": self.num_samples, "shape": shape, "parts": parts})

    def join(self, path: Path) -> None:
        """Writes all samples as one file, part by part, the very bytes that ``save_npz`` would write."""
        shape = (self.num_samples, *self._parts[0].shape)
        with (
            atomic_path(path, expected_bytes=int(np.prod(shape))) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
        ):
            with archive.open(f"{IMAGES}.npy", "w", force_zip64=True) as member:
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
                for part in self._parts:
                    member.write(load_npz(part.path)[IMAGES].data)
            facts = [load_npz(part.path, skip=(IMAGES,)) for part in self._parts]
            for name in ("labels", "index", *(() if LENGTHS not in facts[0] else (LENGTHS,))):
                rows = np.concatenate([fact[name] for fact in facts])
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, rows, allow_pickle=False)

    def remove(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self.folder)


def finish_samples(parts: SampleParts, missing: Callable[[int], Iterable[SampleBatch]], output: Path) -> float | None:
    """Makes what is missing and writes ``output``: one ``.npz``, or the folder of ``parts`` itself with an index.

    Args:
        missing: the samples from a place on, in order.

    Returns:
        Images per second.
    """
    if parts.count < parts.num_samples:
        parts.extend(missing(parts.count))
    if output == parts.folder:
        parts.write_index()
    else:
        parts.join(output)
    return parts.images_per_second


def _is_passing(name: str) -> bool:
    """Half-written files of killed jobs, and what operating systems leave everywhere."""
    return ".partial" in name or is_hidden(name)


def _clear(folder: Path) -> None:
    """Removes the samples of a folder, in an order after which what is left of them is never taken for others."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OptionError(f"{folder} is a file; name a folder for the samples, or a file that ends in .npz")
    ours = [folder / INDEX, *sorted(folder.glob("part-*.npz"), reverse=True), folder / "identity.json"]
    others = sorted(path.name for path in folder.iterdir() if path not in ours and not _is_passing(path.name))
    if others:
        shown = ", ".join(others[:3]) + (" ..." if len(others) > 3 else "")
        raise OptionError(
            f"{folder} holds other things than samples ({shown}); nothing was removed: name a new or empty folder"
        )
    for path in ours:
        path.unlink(missing_ok=True)


def _finished(folder: Path) -> Iterator[_Part]:
    """The parts of a folder, as far as they follow each other without a gap."""
    done = 0
    while (path := folder / f"part-{done:06d}.npz").exists():
        facts = load_npz(path, skip=(IMAGES,))
        shape, _ = read_shape(path, IMAGES)
        count = len(facts["index"])
        yield _Part(path, done, count, tuple(shape[1:]), int(facts["timing"][0]), float(facts["timing"][1]))
        done += count
