"""CIFAR-10's archive: pixels, order, classes and sums, jobs and kills, and what is said of archives that are not it.

Run: pytest tests/data/test_cifar10.py
"""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.miniature import tar_of
from data.tiny_cifar10 import NAMES, ORDER, pictures, write_cifar10

from titok.config.data import Preparation
from titok.data.plan import SourceError
from titok.data.prepare import merge_split, plan_split, prepare, prepare_part
from titok.data.shards import ShardReader
from titok.data.sources.cifar10 import ARCHIVE
from titok.errors import DataError
from titok.runtime.files import sha256_file


def prepared(section: dict[str, Any], output: Path, **changes: object) -> Path:
    prepare(Preparation(**{**section, **changes}), output)
    return output


def test_the_published_sum_is_that_of_the_authors_page() -> None:
    assert ARCHIVE == ("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530")


def test_every_pixel_comes_through_in_the_order_of_the_files(tmp_path: Path) -> None:
    output = prepared(write_cifar10(tmp_path / "a.tar.gz", per_file=20), tmp_path / "out", shard_images=30)
    train = ShardReader(output, "train")
    assert len(train) == 100
    assert train.keys[[0, 99]].tolist() == ["train-00000", "train-00099"]
    assert train.class_names == list(NAMES)
    expected = [pictures(20, ORDER.index(f"data_batch_{number}")) for number in range(1, 6)]
    found = np.stack([np.asarray(train.image(index)) for index in range(100)])
    assert np.array_equal(found, np.concatenate([images for images, _ in expected]))
    assert train.labels.tolist() == np.concatenate([labels for _, labels in expected]).tolist()
    test = ShardReader(output, "test")
    images, labels = pictures(20, ORDER.index("test_batch"))
    assert np.array_equal(np.asarray(test.image(7)), images[7])
    assert test.labels.tolist() == labels.tolist()


def test_any_number_of_parts_writes_the_same_bytes(tmp_path: Path) -> None:
    section = write_cifar10(tmp_path / "a.tar.gz", per_file=10)
    whole = prepared(section, tmp_path / "whole", shard_images=7)
    config, parted = Preparation(**section, shard_images=7), tmp_path / "parted"
    plan_split(config, parted, "train")
    for part in (3, 1, 2):
        prepare_part(config, parted, "train", part, 3)
    merge_split(config, parted, "train")
    names = sorted(path.name for path in whole.glob("train*"))
    assert names == sorted(path.name for path in parted.glob("train*"))
    assert [sha256_file(whole / name) for name in names] == [sha256_file(parted / name) for name in names]


def test_the_manifest_names_the_archive_and_finds_nothing_odd(tmp_path: Path) -> None:
    output = prepared(write_cifar10(tmp_path / "a.tar.gz"), tmp_path / "out")
    manifest = json.loads((output / "train.manifest.json").read_text())
    (source,) = manifest["sources"]
    assert source["published_md5"] == ARCHIVE.md5
    assert source["differs_because"] == "made for a test"
    assert not any(oddity["count"] for oddity in manifest["oddities"].values())
    assert manifest["modes"] == {"RGB": 100}


def test_another_sum_needs_a_reason(tmp_path: Path) -> None:
    section = write_cifar10(tmp_path / "a.tar.gz")
    section["cifar10"] = {"archive": section["cifar10"]["archive"]}
    words = r"a\.tar\.gz has the MD5 \w+, but cifar-10-binary\.tar\.gz was published with c32a.*cifar10\.checksum_over"
    with pytest.raises(DataError, match=words):
        prepared(section, tmp_path / "out")


def test_the_archive_of_pickles_is_refused_unopened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    path = tmp_path / "cifar-10-python.tar.gz"
    batches = [(f"cifar-10-batches-py/data_batch_{n}", pickle.dumps({b"data": Trap()})) for n in range(1, 6)]
    path.write_bytes(gzip.compress(tar_of(batches)))
    section = {"kind": "cifar10", "cifar10": {"archive": str(path)}}
    words = "is the archive for Python, whose files are pickles.*fetch cifar-10-binary.tar.gz"
    with pytest.raises(SourceError, match=words):
        prepared(section, tmp_path / "out")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"test_batch": None}, r"has no file test_batch\.bin; is it cifar-10-binary"),
        ({"batches.meta": None}, r"has no file batches\.meta\.txt"),
        ({"data_batch_4": bytes(3000)}, r"data_batch_4\.bin has 3000 bytes, which is no multiple of 3073, one image"),
        ({"batches.meta": b"cat\ndog\n"}, r"num_classes is 10, but 2 classes were found"),
        ({"data_batch_2": bytes([10]) * 3073}, r"data_batch_2/0 has label 10; allowed: 0 to 9"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        prepared(write_cifar10(tmp_path / "a.tar.gz", **changes), tmp_path / "out")


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_a_truncated_archive_is_told(tmp_path: Path, kept: int) -> None:
    section = write_cifar10(tmp_path / "a.tar.gz")
    path = tmp_path / "a.tar.gz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"a\.tar\.gz (cannot be unpacked|is truncated).*fetch the archive again"):
        prepared(section, tmp_path / "out")


def test_an_archive_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.tar\.gz cannot be opened \(No such file"):
        prepared({"kind": "cifar10", "cifar10": {"archive": str(tmp_path / "nowhere.tar.gz")}}, tmp_path / "out")


def test_an_archive_replaced_after_planning_is_noticed(tmp_path: Path) -> None:
    config = Preparation(**write_cifar10(tmp_path / "a.tar.gz"))
    plan_split(config, tmp_path / "out", "train")
    write_cifar10(tmp_path / "a.tar.gz", per_file=30)
    with pytest.raises(DataError, match="is not the archive that the plan was made for"):
        prepare_part(config, tmp_path / "out", "train", 1, 1)
