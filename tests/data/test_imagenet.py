"""ILSVRC2012's archives and Kaggle's folders: classes, labels and sums, and what is said when they do not fit.

Run: pytest tests/data/test_imagenet.py
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.miniature import Miniature, devkit, encoded, kaggle, official, synthetic, tar_of

from titok.config.data_sources import ImageNetSource
from titok.data.plan import SourceError
from titok.data.sources.imagenet import OFFICIAL, list_imagenet
from titok.data.sources.imagenet_devkit import devkit_labels
from titok.errors import DataError

IMAGES = synthetic(classes=6, per_class=2, val=12)


@pytest.fixture
def source(tmp_path: Path) -> dict[str, Any]:
    section: dict[str, Any] = official(tmp_path / "archives", IMAGES)["imagenet"]  # type: ignore[assignment]
    return section


def listed(section: dict[str, Any], split: str) -> list[tuple[str, str]]:
    """(key, class) of every image."""
    listing = list_imagenet(ImageNetSource(**section), split)
    return [(row["key"].decode(), listing.class_names[row["label"]]) for row in listing.rows()]


def test_published_sums_are_those_that_torchvision_knows() -> None:
    imagenet = pytest.importorskip("torchvision.datasets.imagenet")
    assert OFFICIAL == imagenet.ARCHIVE_META


def test_the_devkits_order_becomes_the_standard_one() -> None:
    """Number n of the devkit is the n-th class of its own order; ours is the place among the sorted WordNet ids."""
    wnids, labels = devkit_labels(devkit(IMAGES), "devkit")
    assert wnids == sorted(IMAGES.train) != IMAGES.devkit_order
    assert [wnids[label] for label in labels] == [wnid for wnid, _ in IMAGES.val]


def test_inner_nodes_of_wordnet_are_no_classes() -> None:
    wnids, _ = devkit_labels(devkit(IMAGES), "devkit")
    assert "n00001740" not in wnids


def test_a_devkit_of_one_class() -> None:
    one = Miniature({"n01440764": {}}, [("n01440764", b"")])
    assert devkit_labels(devkit(one), "devkit")[1].tolist() == [0]


@pytest.mark.parametrize("form", [official, kaggle])
def test_every_image_has_its_class(tmp_path: Path, form: Callable[..., dict[str, Any]]) -> None:
    section = form(tmp_path / "source", IMAGES)["imagenet"]
    assert sorted(listed(section, "train")) == [
        (name[:-5], wnid) for wnid in IMAGES.wnids for name in sorted(IMAGES.train[wnid])
    ]
    expected = [(f"ILSVRC2012_val_{number:08d}", wnid) for number, (wnid, _) in enumerate(IMAGES.val, 1)]
    assert sorted(listed(section, "test")) == expected


@pytest.mark.parametrize("form", [official, kaggle])
def test_some_classes_alone(tmp_path: Path, form: Callable[..., dict[str, Any]]) -> None:
    """Numbered in the order of their ids, whatever the order they are listed in."""
    section = form(tmp_path / "source", IMAGES)["imagenet"]
    chosen = [IMAGES.wnids[4], IMAGES.wnids[1]]
    section["classes"] = chosen
    for split in ("train", "test"):
        listing = list_imagenet(ImageNetSource(**section), split)
        assert listing.class_names == sorted(chosen)
        assert sorted(set(listing.rows()["label"].tolist())) == [0, 1]
    assert sorted(listed(section, "train")) == [
        (name[:-5], wnid) for wnid in sorted(chosen) for name in sorted(IMAGES.train[wnid])
    ]
    expected = [(f"ILSVRC2012_val_{n:08d}", wnid) for n, (wnid, _) in enumerate(IMAGES.val, 1) if wnid in chosen]
    assert sorted(listed(section, "test")) == expected


def test_a_class_that_is_not_there(source: dict[str, Any]) -> None:
    source["classes"] = [IMAGES.wnids[0], "n99999999"]
    with pytest.raises(SourceError, match="1 of the 2 classes asked for are not among the 6 found: n99999999"):
        list_imagenet(ImageNetSource(**source), "train")


def test_the_published_sum_is_asked_for(source: dict[str, Any]) -> None:
    del source["checksum_override"]["train"]
    with pytest.raises(DataError) as caught:
        list_imagenet(ImageNetSource(**source), "train")
    message = str(caught.value)
    assert f"{source['train']} has the MD5 " in message
    assert "ILSVRC2012_img_train.tar was published with 1d675b47d978889d74fa0da5fadfb00e" in message
    assert "dataset.imagenet.checksum_override: {train: {reason: ...}}" in message


def test_a_sum_of_ones_own_is_checked_too(source: dict[str, Any]) -> None:
    source["checksum_override"]["val"]["md5"] = "0" * 32
    with pytest.raises(DataError, match=r"img_val\.tar has the MD5 \w+, but the study expects 0{32}"):
        list_imagenet(ImageNetSource(**source), "test")


def test_an_archive_can_go_unchecked_for_a_reason(source: dict[str, Any]) -> None:
    source["checksum_override"]["train"] = {"reason": "repacked on purpose"}
    listing = list_imagenet(ImageNetSource(**source), "train")
    assert len(listing.rows()) == 12
    note = {entry["role"]: entry for entry in listing.sources}["train"]
    assert (note["md5"], note["differs_because"]) == (None, "repacked on purpose")


def rewrite(source: dict[str, Any], role: str, data: bytes) -> ImageNetSource:
    """Another archive in the place of one, unchecked."""
    Path(source[role]).write_bytes(data)
    source["checksum_override"][role] = {"reason": "changed by a test"}
    return ImageNetSource(**source)


def val_tar(numbers: list[int], pattern: str = "ILSVRC2012_val_{:08d}.JPEG") -> bytes:
    return tar_of([(pattern.format(number), encoded(number)) for number in numbers])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (val_tar(list(range(1, 12))), "has 11 of the 12 images that the devkit lists; missing, for one, is number 12"),
        (val_tar([*range(1, 13), 13]), "ILSVRC2012_val_00000013.JPEG has no label; the devkit lists 12 images"),
        (val_tar(list(range(12))), "ILSVRC2012_val_00000000.JPEG has no label"),
        (val_tar([1], "image_{}.JPEG"), "called unlike any validation image"),
        (val_tar([1], "ILSVRC2012_val_{:08d}.txt"), "is no image by its name"),
        (val_tar([1], "../ILSVRC2012_val_{:08d}.JPEG"), "refused, because its name leads out"),
        (tar_of([]), "has 0 of the 12 images"),
    ],
)
def test_validation_archives_that_do_not_fit(source: dict[str, Any], data: bytes, words: str) -> None:
    with pytest.raises((SourceError, DataError), match=words):
        list_imagenet(rewrite(source, "val", data), "test")


def test_hidden_files_are_passed_over_and_noted(source: dict[str, Any]) -> None:
    wnid = IMAGES.wnids[0]
    inner = tar_of([(f"._{wnid}_1.JPEG", b"mac"), (f"{wnid}_1.JPEG", encoded(0))])
    listing = list_imagenet(rewrite(source, "train", tar_of([(".DS_Store", b""), (f"{wnid}.tar", inner)])), "train")
    assert len(listing.rows()) == 1
    assert listing.ignored == [".DS_Store", f"{wnid}.tar/._{wnid}_1.JPEG"]


def test_hostile_members_of_an_inner_archive_are_refused(source: dict[str, Any]) -> None:
    wnid = IMAGES.wnids[0]
    inner = tar_of([(f"../{wnid}_1.JPEG", encoded(0))])
    with pytest.raises(DataError, match=rf"img_train\.tar: {wnid}\.tar: member '\.\./{wnid}_1\.JPEG' is refused"):
        list_imagenet(rewrite(source, "train", tar_of([(f"{wnid}.tar", inner)])), "train")


def test_a_truncated_training_archive_is_told_before_its_sum(source: dict[str, Any]) -> None:
    data = Path(source["train"]).read_bytes()
    Path(source["train"]).write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"img_train\.tar.* is truncated: .*fetch the archive again"):
        list_imagenet(ImageNetSource(**source), "train")


def without_labels() -> bytes:
    return gzip.compress(tar_of([("devkit/readme.txt", b"about")]))


def with_truth(text: bytes) -> bytes:
    """The devkit with other validation labels."""
    tar = io.BytesIO(gzip.decompress(devkit(IMAGES)))
    import tarfile

    with tarfile.open(fileobj=tar) as opened:
        files = [(member.name, opened.extractfile(member).read()) for member in opened]  # type: ignore[union-attr]
    return gzip.compress(tar_of([(n, text if n.endswith("ground_truth.txt") else data) for n, data in files]))


def with_meta(data: bytes) -> bytes:
    truth = "devkit/data/ILSVRC2012_validation_ground_truth.txt"
    return gzip.compress(tar_of([(truth, b"1\n"), ("devkit/data/meta.mat", data)]))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no gzip", "cannot be unpacked"),
        (devkit(IMAGES)[:-40], "cannot be unpacked"),
        (without_labels(), r"has no file meta\.mat, no ILSVRC2012_validation_ground_truth\.txt"),
        (with_truth(b"1\n7\n"), r"has the class '7'; allowed: 1 to 6"),
        (with_truth(b"1\n0\n"), r"has the class '0'; allowed: 1 to 6"),
        (with_truth(b"1\nx\n"), r"has the class 'x'"),
        (with_meta(b"no matlab file"), r"meta\.mat cannot be read"),
    ],
)
def test_devkits_that_cannot_be_used(data: bytes, words: str) -> None:
    with pytest.raises((SourceError, DataError), match=words):
        devkit_labels(data, "devkit.tar.gz")


def test_class_numbers_with_gaps_are_refused() -> None:
    from scipy.io import savemat

    synsets = np.zeros(2, dtype=[("ILSVRC2012_ID", object), ("WNID", object), ("num_children", object)])
    synsets[:] = [(1, "n01440764", 0), (3, "n01443537", 0)]
    stream = io.BytesIO()
    savemat(stream, {"synsets": synsets})
    with pytest.raises(SourceError, match=r"the 2 classes of meta\.mat are not numbered from 1 without gaps"):
        devkit_labels(with_meta(stream.getvalue()), "devkit.tar.gz")


def test_kaggles_table_must_name_every_image(tmp_path: Path) -> None:
    section = kaggle(tmp_path / "k", IMAGES)["imagenet"]
    table = tmp_path / "k" / "LOC_val_solution.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]))
    with pytest.raises(SourceError, match=r"ILSVRC2012_val_00000001\.JPEG has the class None in LOC_val_solution\.csv"):
        listed(section, "test")
    table.write_text("\n".join([*lines, "ILSVRC2012_val_00000099,n01440764 1 2 3 4"]))
    with pytest.raises(
        SourceError, match=r"val lacks 1 images of LOC_val_solution\.csv, such as ILSVRC2012_val_00000099"
    ):
        listed(section, "test")
    table.write_text("image,label\na,b\n")
    with pytest.raises(SourceError, match="must have the columns ImageId and PredictionString"):
        listed(section, "test")
