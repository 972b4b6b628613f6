"""Generated images as files hold them, read in batches, and what can be wrong with them.

A full sample file of ImageNet is 9.8 GB. Its images lie uncompressed inside the ``.npz``, so they are read as a stream
and never all at once.
"""

from __future__ import annotations

import hashlib
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from titok.config.evaluation import SampleChecks
from titok.errors import ScoreError
from titok.evaluation.findings import Finding
from titok.generation.sample_files import IMAGES, INDEX
from titok.runtime.files import existing_archive, read_json, sha256_file
from titok.runtime.npz_rows import read_header


@dataclass(frozen=True)
class Samples:
    """N generated images (N, H, W, 3) uint8 with the classes that were asked for; see :meth:`open`."""

    shape: tuple[int, ...]
    labels: np.ndarray | None
    """(N,) int64; null if the file does not say."""
    images: np.ndarray | None = None
    files: tuple[Path, ...] = ()
    """Where the images are, one file after the other, if they are not in memory."""

    @classmethod
    def of_array(cls, images: np.ndarray, labels: np.ndarray | None = None) -> Samples:
        """Samples in memory.

        Raises:
            ScoreError: the images are not uint8 (N, H, W, 3), or not one label each.
        """
        if images.dtype != np.uint8 and not np.isfinite(images).all():
            broken = int((~np.isfinite(images)).reshape(len(images), -1).any(axis=1).sum())
            raise ScoreError(
                f"{broken} of {len(images)} samples hold NaN or infinite pixels; look at the sampler's output"
            )
        _check(images.shape, images.dtype, labels, "the sample array")
        return cls(images.shape, _whole(labels, "the sample array"), images=images)

    @classmethod
    def open(cls, *paths: str | Path) -> Samples:
        """Sample files in this order: each ``arr_0`` uint8 (N, H, W, 3) and, if there, ``labels`` (N,).

        ADM's scripts call their labels ``arr_1``.

        A folder stands for the parts that its ``index.json`` lists (``titok sample --output FOLDER``).

        Raises:
            FileError: one is missing.
            ScoreError: one is damaged, holds something else or images of another size, or a folder is not complete.
        """
        files = tuple(file for path in map(Path, paths) for file in (_parts(path) if path.is_dir() else [path]))
        _require_different(files)
        opened = [_open_file(existing_archive(file)) for file in files]
        shapes = [shape for shape, _ in opened]
        for file, shape in zip(files, shapes, strict=True):
            if shape[1:] != shapes[0][1:]:
                raise ScoreError(f"{file} has images of shape {shape[1:]}, {files[0]} of {shapes[0][1:]}; score apart")
        labels = [known for _, known in opened if known is not None]
        return cls(
            (sum(shape[0] for shape in shapes), *shapes[0][1:]),
            np.concatenate(labels) if len(labels) == len(opened) else None,
            files=files,
        )

    def __len__(self) -> int:
        return self.shape[0]

    def sha256(self) -> str:
        """Hash of the file, of the hashes of several, or of the pixels of an array."""
        if self.images is not None:
            return hashlib.sha256(np.ascontiguousarray(self.images).data).hexdigest()
        sums = [sha256_file(file) for file in self.files]
        return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()

    def batches(self, batch_size: int) -> Iterator[np.ndarray]:
        """The images in order, (B, H, W, 3) uint8; a batch may be smaller at the end of a file.

        Raises:
            ScoreError: a file ends early.
        """
        if self.images is not None:
            for start in range(0, len(self), batch_size):
                yield self.images[start : start + batch_size]
        for file in self.files:
            yield from _stream(file, batch_size)


def _open_file(path: Path) -> tuple[tuple[int, ...], np.ndarray | None]:
    """Shape (N, H, W, 3) of a file's images, and their labels if it has them."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if IMAGES not in archive.files:
                raise ScoreError(
                    f"{path} holds {', '.join(archive.files) or 'no array'}; the images must be called {IMAGES}: "
                    f"numpy.savez(path, {IMAGES}=images, labels=labels)"
                )
            labels = _labels_of(archive, path)
        with zipfile.ZipFile(path) as archive, archive.open(f"{IMAGES}.npy") as member:
            shape, fortran_order, dtype = read_header(member)
    except (zipfile.BadZipFile, zlib.error, ValueError, KeyError, OSError) as error:
        raise ScoreError(f"{path} is no readable sample file ({error}); sample again") from error
    if fortran_order:
        raise ScoreError(f"{path} holds its images in Fortran order; save them in C order")
    _check(shape, dtype, labels, str(path))
    return shape, _whole(labels, str(path))


def _labels_of(archive: Mapping[str, np.ndarray], path: Path) -> np.ndarray | None:
    """``labels``, or ADM's ``arr_1`` where it looks like labels; None without either."""
    named = archive.get("labels")
    second = archive.get("arr_1")
    if second is not None and (second.ndim != 1 or second.dtype.kind not in "iu"):
        second = None
    if named is not None and second is not None and not np.array_equal(named, second):
        raise ScoreError(f"{path} has two lists of labels that differ, labels and arr_1; keep the one that is right")
    return named if named is not None else second


def _require_different(files: tuple[Path, ...]) -> None:
    """The same samples twice would look like more of them."""
    seen: dict[Path, Path] = {}
    for file in files:
        first = seen.setdefault(file.resolve(), file)
        if first is not file:
            raise ScoreError(f"{first} and {file} are the same file of samples; name each once")


def _parts(folder: Path) -> list[Path]:
    """The parts of a folder, in the order and number that its index says."""
    if not (folder / INDEX).exists():
        raise ScoreError(f"{folder} has no {INDEX}: its samples are not all there; run titok sample again to finish")
    return [folder / part["file"] for part in read_json(folder / INDEX)["parts"]]


def _stream(path: Path, batch_size: int) -> Iterator[np.ndarray]:
    """Batches of one file, whose bytes lie uncompressed in it (or are inflated on the way)."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{IMAGES}.npy") as member:
        shape, _, _ = read_header(member)
        image_bytes = math.prod(shape[1:])
        for start in range(0, shape[0], batch_size):
            count = min(batch_size, shape[0] - start)
            try:
                content = member.read(count * image_bytes)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise ScoreError(f"{path} is damaged ({error}); sample again") from error
            if len(content) != count * image_bytes:
                raise ScoreError(f"{path} ends inside image {start + len(content) // image_bytes}; sample again")
            yield np.frombuffer(bytearray(content), dtype=np.uint8).reshape(count, *shape[1:])


def _check(shape: tuple[int, ...], dtype: np.dtype, labels: np.ndarray | None, where: str) -> None:
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or shape[0] == 0:
        raise ScoreError(f"{where} holds images of type {dtype} and shape {shape}; allowed: uint8 (N, H, W, 3), N > 0")
    if labels is not None and labels.shape != shape[:1]:
        raise ScoreError(f"{where} has labels of shape {labels.shape} for {shape[0]} images; give one label per image")


def _whole(labels: np.ndarray | None, where: str) -> np.ndarray | None:
    """Labels (N,) int64; raises `ScoreError` for anything but whole numbers."""
    if labels is None:
        return None
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iufb":
        raise ScoreError(f"{where} has labels of type {labels.dtype}; allowed: whole numbers, one class per image")
    if labels.dtype.kind == "f" and not (np.isfinite(labels).all() and (labels == np.round(labels)).all()):
        strange = labels[~np.isfinite(labels) | (labels != np.round(labels))]
        raise ScoreError(f"{where} has the label {strange[0]}; allowed: whole numbers, one class per image")
    return labels.astype(np.int64)


def inspect_samples(
    samples: Samples, num_classes: int | None, checks: SampleChecks, batch_size: int = 256
) -> tuple[list[Finding], dict[str, float]]:
    """Looks for samples that would make a score mislead.

    Args:
        samples: the images.
        num_classes: C; null for unconditional samples, whose balance is not checked.
        checks: the largest shares of duplicates and constant images.
        batch_size: images read at a time.

    Returns:
        What was found beyond the limits, and the measured shares by metric name.
    """
    digests: set[bytes] = set()
    constant = 0
    for batch in samples.batches(batch_size):
        flat = batch.reshape(len(batch), -1)
        constant += int((flat.min(axis=1) == flat.max(axis=1)).sum())
        digests.update(hashlib.blake2b(image.data, digest_size=16).digest() for image in flat)
    shares = {"duplicate_fraction": 1 - len(digests) / len(samples), "constant_fraction": constant / len(samples)}
    findings = []
    if shares["duplicate_fraction"] > checks.max_duplicate_fraction:
        text = (
            f"{len(samples) - len(digests)} of {len(samples)} samples repeat an earlier one byte for byte "
            f"({shares['duplicate_fraction']:.1%}, allowed {checks.max_duplicate_fraction:.1%}); "
            f"look at the sampler's seeds and temperature, or raise evaluation.checks.max_duplicate_fraction"
        )
        findings.append(Finding("duplicates", text))
    if shares["constant_fraction"] > checks.max_constant_fraction:
        text = (
            f"{constant} of {len(samples)} samples have one colour everywhere ({shares['constant_fraction']:.1%}, "
            f"allowed {checks.max_constant_fraction:.1%}); look at the decoder, or raise "
            f"evaluation.checks.max_constant_fraction"
        )
        findings.append(Finding("constant_images", text))
    if num_classes is not None:
        findings += _balance(samples, num_classes)
    return findings, shares


def _balance(samples: Samples, num_classes: int) -> list[Finding]:
    """Classes must be equally frequent, up to one sample where the number of samples is no multiple of theirs."""
    if samples.labels is None:
        text = (
            f"the samples have no labels, so that the balance of their {num_classes} classes is unknown; store them in "
            f"the file as `labels`, a whole number per image"
        )
        return [Finding("unbalanced_classes", text)]
    if samples.labels.min() < 0 or samples.labels.max() >= num_classes:
        raise ScoreError(
            f"labels of the samples go from {samples.labels.min()} to {samples.labels.max()}; "
            f"allowed: 0 to {num_classes - 1}"
        )
    counts = np.bincount(samples.labels, minlength=num_classes)
    if counts.max() - counts.min() <= 1:
        return []
    text = (
        f"class {counts.argmin()} has {counts.min()} samples and class {counts.argmax()} has {counts.max()}; "
        f"allowed: {len(samples) // num_classes} of each of the {num_classes} classes, sample them in equal numbers"
    )
    return [Finding("unbalanced_classes", text)]
