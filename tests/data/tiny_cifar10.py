"""Archives built as CIFAR-10's are, of a few images made here: coloured blobs on a ground that says the class."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from data.miniature import tar_of

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDER = "cifar-10-batches-bin"
ORDER = ("data_batch_1", "batches.meta", "data_batch_3", "data_batch_4", "test_batch", "data_batch_5", "data_batch_2")
"""Files are in no order in the official archive either."""


def pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 32, 32, 3) uint8 and (N,) classes, each class as often as the others."""
    draws = np.random.default_rng(seed)
    labels = np.arange(count) % len(NAMES)
    rows, columns = np.mgrid[:32, :32]
    images = np.empty((count, 32, 32, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        middle, colour = draws.integers(8, 24, 2), draws.integers(0, 256, 3)
        blob = ((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2)[..., None] < 40
        ground = np.array([25 * label, 255 - 25 * label, 128]) + draws.integers(-10, 10, (32, 32, 3))
        image[:] = np.where(blob, colour, ground.clip(0, 255))
    return images, labels


def records(images: np.ndarray, labels: np.ndarray) -> bytes:
    """Images as the archive's files have them."""
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([labels[:, None].astype(np.uint8), planes], axis=1).tobytes()


def write_cifar10(path: Path, per_file: int = 20, **changes: bytes | None) -> dict[str, Any]:
    """An archive of six files with ``per_file`` images each; returns the section `dataset`.

    ``changes``: other contents for some of the files (by name without ending), None for no such file.
    """
    contents: dict[str, bytes | None] = {
        name: "\n".join((*NAMES, "")).encode() if name == "batches.meta" else records(*pictures(per_file, seed))
        for seed, name in enumerate(ORDER)
    }
    contents |= changes
    endings = {"batches.meta": ".txt"}
    members = [
        (f"{FOLDER}/{name}{endings.get(name, '.bin')}", data) for name, data in contents.items() if data is not None
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(tar_of(members), mtime=0))
    override = {"reason": "made for a test", "md5": hashlib.md5(path.read_bytes()).hexdigest()}
    return {"kind": "cifar10", "num_classes": 10, "cifar10": {"archive": str(path), "checksum_override": override}}
