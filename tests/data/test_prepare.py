"""Preparation as a whole: every form and every way to cut it gives the same, and nothing bad passes unseen.

Run: pytest tests/data/test_prepare.py
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.miniature import (
    FORMS,
    ROOT,
    Miniature,
    encoded,
    folder,
    official,
    photographs,
    synthetic,
    tar_of,
)

from titok.config.data import Preparation
from titok.data.plan import SourceError
from titok.data.prepare import merge_split, plan_split, prepare, prepare_part
from titok.data.shard_index import read_index
from titok.data.shards import ShardReader
from titok.errors import DataError, MachineError

CUT = encoded(77, size=(64, 64))[:-900]
"""A JPEG that was cut short."""


def settings(source: dict[str, Any], **changes: Any) -> Preparation:
    return Preparation(**{"shard_images": 4, **source, **changes})


def files(directory: Path) -> dict[str, bytes]:
    """What a preparation leaves for readers."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def images() -> Miniature:
    return synthetic()


@pytest.fixture(scope="module")
def source(images: Miniature, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The official archives in miniature."""
    return official(tmp_path_factory.mktemp("archives") / "source", images)


@pytest.fixture(scope="module")
def expected(source: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What they become in one go."""
    output = tmp_path_factory.mktemp("expected")
    prepare(settings(source), output)
    return files(output)


def columns(directory: Path, split: str) -> dict[str, np.ndarray]:
    return read_index(directory, split).columns


def check_forms(images: Miniature, root: Path) -> None:
    """Identical keys, order, sums, labels, sizes, fingerprints, class names and pixels from all forms."""
    for name, form in FORMS.items():
        if name == "parquet":
            pytest.importorskip("pyarrow")
        prepare(settings(form(root / name / "source", images), shard_images=7), root / name / "output")
    for split in ("train", "test"):
        first = ShardReader(root / "official" / "output", split)
        for name in FORMS:
            reader = ShardReader(root / name / "output", split)
            assert reader.fingerprint == first.fingerprint, name
            assert reader.class_names == first.class_names == images.wnids, name
            reference, found = (columns(root / form / "output", split) for form in ("official", name))
            for column in ("key", "length", "sha1", "label", "width", "height", "mode"):
                np.testing.assert_array_equal(found[column], reference[column], err_msg=f"{name} {column}")
            for index in range(len(first)):
                assert reader.image(index).tobytes() == first.image(index).tobytes()
    same = [files(root / name / "output") for name in ("official", "kaggle", "folder")]
    for name in same[0]:
        if "manifest" not in name:
            assert same[0][name] == same[1][name] == same[2][name], name


def test_all_forms_of_the_same_images_are_identical(images: Miniature, tmp_path: Path) -> None:
    check_forms(images, tmp_path)


def test_all_forms_of_photographs_are_identical(tmp_path: Path) -> None:
    check_forms(photographs(), tmp_path)


def test_keys_labels_and_bytes_are_the_official_ones(images: Miniature, source: dict[str, Any], tmp_path: Path) -> None:
    prepare(settings(source), tmp_path)
    train, test = (ShardReader(tmp_path, split) for split in ("train", "test"))
    wanted = {
        name[:-5]: (data, label) for label, w in enumerate(images.wnids) for name, data in images.train[w].items()
    }
    assert train.keys.tolist() == sorted(wanted)
    assert [(train.read(i), label) for i, label in enumerate(train.labels)] == [wanted[key] for key in train.keys]
    assert test.keys.tolist() == [f"ILSVRC2012_val_{number:08d}" for number in range(1, 9)]
    assert [images.wnids[label] for label in test.labels] == [wnid for wnid, _ in images.val]
    assert images.devkit_order != images.wnids, "the devkit's order must differ for this to mean anything"


@pytest.mark.parametrize(("parts", "jobs"), [(1, 2), (2, 1), (3, 3), (9, 1)])
def test_any_cut_gives_the_same_bytes(
    source: dict[str, Any], expected: dict[str, bytes], tmp_path: Path, parts: int, jobs: int
) -> None:
    config = settings(source)
    for split in ("test", "train"):
        plan_split(config, tmp_path, split)
        for part in np.random.default_rng(parts).permutation(parts):
            prepare_part(config, tmp_path, split, int(part) + 1, parts, jobs)
        merge_split(config, tmp_path, split)
    assert files(tmp_path) == expected


def test_the_manifest_tells_sources_and_oddities(expected: dict[str, bytes]) -> None:
    manifest = json.loads(expected["train.manifest.json"])
    assert (manifest["images"], manifest["classes"]) == (20, 4)
    assert manifest["images_per_class"] == {"fewest": 5, "most": 5}
    assert manifest["modes"] == {"CMYK": 1, "L": 1, "P": 1, "RGB": 17}
    assert manifest["formats"] == {"JPEG": 18, "PNG": 2}
    oddities = {name: found["keys"] for name, found in manifest["oddities"].items() if found["count"]}
    assert oddities == {
        "greyscale": ["n01440764_7"],
        "cmyk": ["n01440764_49"],
        "other_mode": ["n01440764_16807"],
        "misnamed_format": ["n01440764_16807", "n01440764_343"],
        "exif_orientation": ["n01440764_2401"],
    }
    roles = {entry["role"]: entry for entry in manifest["sources"]}
    assert roles["train"]["published_md5"] == "1d675b47d978889d74fa0da5fadfb00e" != roles["train"]["md5"]
    assert roles["train"]["differs_because"] == "a miniature made for a test"
    assert str(ROOT) not in expected["train.manifest.json"].decode()


def test_grey_and_cmyk_come_out_as_rgb(source: dict[str, Any], tmp_path: Path) -> None:
    prepare(settings(source), tmp_path)
    reader = ShardReader(tmp_path, "train")
    modes = columns(tmp_path, "train")["mode"].astype(str).tolist()
    assert {"L", "CMYK", "P"} <= set(modes)
    assert {reader.image(index).mode for index in range(len(reader))} == {"RGB"}
    turned = reader.keys.tolist().index("n01440764_2401")
    assert reader.image(turned).size == (9, 7), "EXIF's rotation is not done"


def test_finished_shards_are_kept_and_only_missing_ones_made(source: dict[str, Any], tmp_path: Path) -> None:
    config = settings(source)
    prepare(config, tmp_path)
    before = files(tmp_path)
    (tmp_path / "train-000002.tar").write_bytes(b"cut short")
    (tmp_path / "preparation" / "train-000003.records.npz").unlink()
    kept = (tmp_path / "train-000001.tar").stat().st_mtime_ns
    remade = (tmp_path / "train-000003.tar").stat().st_mtime_ns
    prepare(config, tmp_path)
    assert files(tmp_path) == before
    assert (tmp_path / "train-000001.tar").stat().st_mtime_ns == kept
    assert (tmp_path / "train-000003.tar").stat().st_mtime_ns > remade


def test_shards_of_another_plan_are_replaced_and_left_over_ones_removed(source: dict[str, Any], tmp_path: Path) -> None:
    prepare(settings(source, shard_images=2), tmp_path)
    half_written = tmp_path / ".train-000001.4711-abcd.partial.tar"
    half_written.write_bytes(b"of a killed job")
    (tmp_path / "train-notes.txt").write_text("mine")
    prepare(settings(source), tmp_path)
    tars = sorted(path.name for path in tmp_path.glob("train-*.tar"))
    assert tars == [f"train-{number:06d}.tar" for number in range(5)]
    assert not half_written.exists()
    assert (tmp_path / "train-notes.txt").exists()
    assert len(ShardReader(tmp_path, "train")) == 20


def with_undecodable(images: Miniature, root: Path) -> dict[str, Any]:
    """A folder with two bad training images and a bad validation image."""
    train = {wnid: dict(found) for wnid, found in images.train.items()}
    wnid = images.wnids[1]
    train[wnid] |= {f"{wnid}_99.JPEG": CUT, f"{wnid}_98.JPEG": b"no image"}
    return folder(root, Miniature(train, [*images.val, (wnid, CUT)]))


def test_undecodable_images_are_named_all_at_once(images: Miniature, tmp_path: Path) -> None:
    source = with_undecodable(images, tmp_path / "source")
    with pytest.raises(DataError) as caught:
        prepare(settings(source), tmp_path / "output")
    message = str(caught.value)
    wnid = images.wnids[1]
    assert message.startswith("2 image(s) of split 'train' cannot be decoded; replace them, or leave them out")
    assert "dataset.allow_undecodable (now 0)" in message
    assert f"\n  - train: {wnid}/{wnid}_99.JPEG: OSError: " in message
    assert f"\n  - train: {wnid}/{wnid}_98.JPEG: UnidentifiedImageError" in message
    assert not (tmp_path / "output" / "train.index.npz").exists()


def test_undecodable_training_images_may_be_left_out_by_number(images: Miniature, tmp_path: Path) -> None:
    source = with_undecodable(images, tmp_path / "source")
    output = tmp_path / "output"
    for allowed in (0, 1):
        plan_split(settings(source, allow_undecodable=allowed), output, "train")
        with pytest.raises(DataError, match=rf"2 image\(s\) of split 'train'.*\(now {allowed}\)"):
            prepare_part(settings(source, allow_undecodable=allowed), output, "train", 1, 1)
    config = settings(source, allow_undecodable=2)
    for part in (1, 2):
        prepare_part(config, output, "train", part, 2)
    merge_split(config, output, "train")
    assert len(ShardReader(output, "train")) == 20
    manifest = json.loads((output / "train.manifest.json").read_text())
    assert [image["name"][-7:] for image in manifest["undecodable"]] == ["98.JPEG", "99.JPEG"]
    plan_split(config, output, "test")
    with pytest.raises(DataError, match=r"1 image\(s\) of split 'test' cannot be decoded; replace them: scores"):
        prepare_part(config, output, "test", 1, 1)


def test_the_number_counts_over_all_parts(images: Miniature, tmp_path: Path) -> None:
    source = with_undecodable(images, tmp_path / "source")
    config = settings(source, allow_undecodable=1, shard_images=1)
    plan = plan_split(config, tmp_path / "output", "train")
    for part in range(1, plan.num_shards + 1):
        prepare_part(config, tmp_path / "output", "train", part, plan.num_shards)
    with pytest.raises(DataError, match=r"2 image\(s\) of split 'train'"):
        merge_split(config, tmp_path / "output", "train")


def test_a_mended_image_gets_another_chance(images: Miniature, tmp_path: Path) -> None:
    source = with_undecodable(images, tmp_path / "source")
    config = settings(source, allow_undecodable=1)
    plan_split(config, tmp_path / "output", "train")
    with pytest.raises(DataError):
        prepare_part(config, tmp_path / "output", "train", 1, 1)
    wnid = images.wnids[1]
    good = encoded(5)
    (tmp_path / "source" / "train" / wnid / f"{wnid}_99.JPEG").write_bytes(good)
    prepare_part(config, tmp_path / "output", "train", 1, 1)
    merge_split(config, tmp_path / "output", "train")
    reader = ShardReader(tmp_path / "output", "train")
    assert reader.read(reader.keys.tolist().index(f"{wnid}_99")) == good


def test_merging_too_early_is_told(source: dict[str, Any], tmp_path: Path) -> None:
    config = settings(source)
    plan_split(config, tmp_path, "train")
    prepare_part(config, tmp_path, "train", 1, 2)
    with pytest.raises(SourceError, match=r"train-000002\.tar is not prepared yet; run `titok prepare part`"):
        merge_split(config, tmp_path, "train")


def test_a_plan_of_other_settings_is_refused(source: dict[str, Any], tmp_path: Path) -> None:
    plan_split(settings(source), tmp_path, "train")
    with pytest.raises(SourceError, match=r"train\.plan\.json was made with other settings; run `titok prepare plan`"):
        prepare_part(settings(source, shard_images=5), tmp_path, "train", 1, 1)
    with pytest.raises(SourceError, match=r"part is 3/2; allowed: 1/2 to 2/2"):
        prepare_part(settings(source), tmp_path, "train", 3, 2)


def test_an_archive_that_changed_after_planning_is_noticed(images: Miniature, tmp_path: Path) -> None:
    source = official(tmp_path / "source", images)
    plan_split(settings(source), tmp_path, "train")
    archive = Path(source["imagenet"]["train"])
    with archive.open("ab") as stream:
        stream.write(b"\0" * 512)
    with pytest.raises(DataError, match=r"img_train\.tar is not the archive that the plan was made for"):
        prepare_part(settings(source), tmp_path, "train", 1, 1)


def test_an_image_that_vanished_after_planning_is_named(images: Miniature, tmp_path: Path) -> None:
    source = folder(tmp_path / "source", images)
    plan_split(settings(source), tmp_path, "train")
    first = min((tmp_path / "source" / "train").rglob("*.JPEG"))
    first.unlink()
    with pytest.raises(SourceError, match=rf"{first.name} cannot be read \(No such file or directory\); put it back"):
        prepare_part(settings(source), tmp_path, "train", 1, 1, jobs=2)


def test_the_wrong_number_of_images_is_refused(source: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"split 'train' has 20 images, but dataset\.images says 1281167"):
        plan_split(settings(source, images={"train": 1281167, "test": 50000}), tmp_path, "train")
    plan_split(settings(source, images={"train": 20, "test": 8}), tmp_path, "train")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers do not inherit what a test replaces")
def test_a_killed_worker_is_told_and_the_others_end(images: Miniature, tmp_path: Path, monkeypatch) -> None:
    source = folder(tmp_path / "source", images)
    plan_split(settings(source, shard_images=1), tmp_path, "train")

    def kill(self: object, row: np.void) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return b""

    monkeypatch.setattr("titok.data.sources.folder.FolderImages.read", kill)
    with pytest.raises(MachineError, match=r"ended with status -9 .*what is finished stays"):
        prepare_part(settings(source, shard_images=1), tmp_path, "train", 1, 1, jobs=2)


ORPHANS = """
import sys, time, pathlib
from titok.config.data import Preparation
from titok.data.prepare import prepare_part
from titok.data.sources import folder
read = folder.FolderImages.read
def slowly(self, row):
    pathlib.Path(sys.argv[2], 'alive').touch()
    time.sleep(0.3)
    return read(self, row)
folder.FolderImages.read = slowly
prepare_part(Preparation.model_validate_json(sys.argv[1]), pathlib.Path(sys.argv[2]), 'train', 1, 1, 2)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers do not inherit what a test replaces")
def test_workers_end_when_their_parent_is_killed(images: Miniature, tmp_path: Path) -> None:
    config = settings(folder(tmp_path / "source", images), shard_images=10)
    output = tmp_path / "output"
    plan_split(config, output, "train")
    line = [sys.executable, "-c", ORPHANS, config.model_dump_json(), str(output)]
    process = subprocess.Popen(line, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True)
    deadline = time.monotonic() + 30
    while not (output / "alive").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("workers go on without their parent")
    assert not list(output.glob("*.tar"))
    assert not list(output.glob(".*partial*")), "an orphan removes its half shard"


def test_an_archive_inside_that_is_no_class_is_refused(images: Miniature, tmp_path: Path) -> None:
    source = official(tmp_path / "source", images)
    archive = tmp_path / "source" / "ILSVRC2012_img_train.tar"
    archive.write_bytes(tar_of([("n09999999.tar", tar_of([("n09999999_1.JPEG", encoded(0))]))]))
    with pytest.raises(SourceError, match=r"member 'n09999999\.tar' is no archive of one of the devkit's 4 classes"):
        plan_split(settings(source), tmp_path, "train")
