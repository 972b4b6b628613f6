"""IDX files: every pixel and label, sums of what is inside, and what is said of files that are not what they should be.

Run: pytest tests/data/test_idx.py
"""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from titok.config.data import Preparation
from titok.data.plan import SourceError
from titok.data.prepare import merge_split, plan_split, prepare, prepare_part
from titok.data.shards import ShardReader
from titok.data.sources.kinds import source_of
from titok.runtime.files import sha256_file

NAMES = ("shirt", "boot", "bag")


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def written(folder: Path, *, packed: bool = True, **changes: object) -> dict[str, Any]:
    """30 training and 12 test images of 6 x 5 pixels; the section that names them."""
    folder.mkdir(exist_ok=True)
    section = {"folder": str(folder), "class_names": NAMES, **changes}
    for count, names in ((30, TRAIN), (12, TEST)):
        random = np.random.default_rng(count)
        images = random.integers(0, 256, (count, 6, 5), dtype=np.uint8)
        labels = (np.arange(count) % 3).astype(np.uint8)
        for name, array in zip(names, (images, labels), strict=True):
            content = idx(array)
            (folder / name).write_bytes(gzip.compress(content) if packed else content)
    return {"kind": "idx", "num_classes": 3, "idx": section}


TRAIN = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
TEST = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 6, 5), dtype=np.uint8)


@pytest.mark.parametrize("packed", [True, False])
def test_every_pixel_and_label_comes_through(tmp_path: Path, packed: bool) -> None:
    section = written(tmp_path / "files", packed=packed)
    prepare(Preparation(**section, shard_images=7), tmp_path / "out")
    for split, count in (("train", 30), ("test", 12)):
        found = ShardReader(tmp_path / "out", split)
        assert found.keys[[0, count - 1]].tolist() == [f"{split}-00000", f"{split}-{count - 1:05d}"]
        assert found.class_names == list(NAMES)
        assert found.labels.tolist() == [number % 3 for number in range(count)]
        pixels = np.stack([np.asarray(found.image(number)) for number in range(count)])
        assert np.array_equal(pixels, np.repeat(images(count)[..., None], 3, axis=3))


def test_images_by_columns_are_turned(tmp_path: Path) -> None:
    prepare(Preparation(**written(tmp_path / "files", transposed=True)), tmp_path / "out")
    first = np.asarray(ShardReader(tmp_path / "out", "test").image(0))
    assert np.array_equal(first[..., 0], images(12)[0].T)


def test_any_number_of_parts_writes_the_same_bytes(tmp_path: Path) -> None:
    config = Preparation(**written(tmp_path / "files"), shard_images=4)
    prepare(config, tmp_path / "whole")
    plan_split(config, tmp_path / "parted", "train")
    for part in (2, 1):
        prepare_part(config, tmp_path / "parted", "train", part, 2)
    merge_split(config, tmp_path / "parted", "train")
    names = sorted(path.name for path in (tmp_path / "whole").glob("train*"))
    sums = [[sha256_file(tmp_path / place / name) for name in names] for place in ("whole", "parted")]
    assert sums[0] == sums[1]


def test_the_manifest_has_the_sums_of_what_is_inside(tmp_path: Path) -> None:
    expected = hashlib.md5(idx(images(12))).hexdigest()
    section = written(tmp_path / "files", unpacked_md5={TEST[0]: expected})
    prepare(Preparation(**section), tmp_path / "out")
    sources = json.loads((tmp_path / "out" / "test.manifest.json").read_text())["sources"]
    assert {source["file"]: source["unpacked_md5"] for source in sources}[TEST[0]] == expected
    section["idx"]["unpacked_md5"] = {TEST[0]: "0" * 32}
    with pytest.raises(SourceError, match=rf"{TEST[0]} has, unpacked, the MD5 {expected}, but the study expects 0000"):
        prepare(Preparation(**section), tmp_path / "other")


def test_the_number_of_images_is_known_from_the_header(tmp_path: Path) -> None:
    source = source_of(Preparation(**written(tmp_path / "files")))
    assert source is not None
    assert (source.count("train", 10), source.count("test", 10)) == (30, 12)


def spoilt(folder: Path, name: str, content: bytes) -> dict[str, Any]:
    section = written(folder)
    (folder / name).write_bytes(content)
    return section


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (TRAIN[0], b"<html>404</html>", r"begins with 3c 68 74 6d, which no IDX file does"),
        (TRAIN[0], idx(np.zeros(30, np.uint8)), r"type 8 along 1 axes; needed .* are the two exchanged\?"),
        (TRAIN[0], idx(images(30))[:-7], r"holds 893 values, its header promises \(30, 6, 5\)"),
        (TRAIN[0], idx(images(30))[:9], r"ends within its header"),
        (TRAIN[0], gzip.compress(idx(images(30)))[:-20], r"cannot be read"),
        (TRAIN[1], idx(np.zeros(29, np.uint8)), r"has 30 images, .* 29 labels; one each"),
        (TRAIN[1], idx(np.full(30, 7, np.uint8)), r"7"),
    ],
)
def test_files_that_are_something_else_are_told(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    section = spoilt(tmp_path / "files", name, content)
    with pytest.raises(SourceError, match=said):
        prepare(Preparation(**section), tmp_path / "out")


def test_missing_files_are_named_before_anything_is_made(tmp_path: Path) -> None:
    section = written(tmp_path / "files")
    (tmp_path / "files" / TEST[1]).unlink()
    with pytest.raises(SourceError, match=TEST[1]):
        prepare(Preparation(**section), tmp_path / "out")
