"""Copies of a split on a machine's own disk: the same batches, made once, completed, never trusted unread.

Run: pytest tests/data/test_staging.py
"""

from __future__ import annotations

import io
import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from titok.config.data import Dataset
from titok.config.training import ImageTraining
from titok.data import staging
from titok.data.opening import open_images, training_images
from titok.data.shard_index import ShardError
from titok.data.shards import ShardReader, ShardWriter
from titok.data.staging import staged
from titok.errors import MachineError
from titok.runtime.files import FileError

IMAGES = 10
DATASET = Dataset(kind="imagenet", num_classes=2, resize=18, image_size=16, in_memory=False)


def picture(number: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Three shards on the slow file system."""
    with ShardWriter(tmp_path / "slow", "train", max_samples=4) as writer:
        for number in range(IMAGES):
            writer.write(f"image-{number}", picture(number), number % 2)
    return tmp_path / "slow" / "train.index.npz"


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A local disk with a space in its name."""
    return str(tmp_path / "local disk")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_batches_of_a_copy_are_those_of_the_original(index: Path, place: str, world_size: int) -> None:
    """At any step, as if going on from a checkpoint, for any number of processes."""
    training = ImageTraining(steps=1, batch_size=8, schedule={"warmup_steps": 0})

    def batch(stage_to: str | None, step: int, rank: int) -> torch.Tensor:
        images = open_images(index, DATASET, stage_to=stage_to)
        where = {"rank": rank, "world_size": world_size}
        return training_images(images, 16, training, 3, **where).batch(step).images

    for step, rank in ((5, 0), (0, world_size - 1)):
        assert torch.equal(batch(place, step, rank), batch(None, step, rank))


def test_a_copy_holds_the_same_bytes_and_is_used_again(
    index: Path, place: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = staged(index, place)
    assert contents(copy.parent) == contents(index.parent)
    assert "copies 0.0 GB" in capsys.readouterr().err
    monkeypatch.setattr(shutil, "copyfile", lambda *_: pytest.fail("copied again"))
    assert staged(index, place) == copy
    assert "uses the copy" in capsys.readouterr().err


def test_a_broken_off_copy_is_completed(index: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the shards that are there in full nothing is copied again; what a kill left goes away."""
    copy = staged(index, place)
    whole = contents(copy.parent)
    copy.unlink()
    (copy.parent / "train-000001.tar").unlink()
    (copy.parent / "train-000002.tar").write_bytes(b"cut short")
    (copy.parent / ".train-000001.7-ab.partial.tar").write_bytes(b"half")
    copied, before = [], shutil.copyfile

    def copy_one(source: Path, target: Path) -> None:
        copied.append(source.name)
        before(source, target)

    monkeypatch.setattr(shutil, "copyfile", copy_one)
    assert contents(staged(index, place).parent) == whole
    assert copied == ["train-000001.tar", "train-000002.tar", "train.index.npz"]


def test_other_images_have_another_copy(index: Path, place: str) -> None:
    old = staged(index, place)
    shutil.rmtree(index.parent)
    with ShardWriter(index.parent, "train") as writer:
        writer.write("other", picture(99), 0)
    new = staged(index, place)
    assert (len(ShardReader(new.parent, "train")), len(ShardReader(old.parent, "train"))) == (1, IMAGES)


def test_processes_of_a_machine_copy_once(index: Path, place: str, capfd: pytest.CaptureFixture[str]) -> None:
    started = [multiprocessing.get_context("fork").Process(target=staged, args=(index, place)) for _ in range(3)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0, 0, 0]
    said = capfd.readouterr().err
    assert (said.count(" copies "), said.count("uses the copy")) == (1, 2)


def test_a_damaged_copy_is_noticed_and_the_remedy_is_the_copy(index: Path, place: str) -> None:
    copy = staged(index, place)
    shard = copy.parent / "train-000000.tar"
    shard.write_bytes(shard.read_bytes().replace(picture(0), picture(1)[: len(picture(0))].ljust(len(picture(0)))))
    with pytest.raises(ShardError, match=r"SHA-1.*delete the copy .*titok-staged-.*; the next try copies it anew"):
        ShardReader(copy.parent, "train").read(0)


def test_variables_are_the_machines(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRATCH", str(tmp_path / "scratch"))
    assert staged(index, "$SCRATCH/titok").is_relative_to(tmp_path / "scratch" / "titok")
    monkeypatch.delenv("SCRATCH")
    with pytest.raises(MachineError, match=r"stage_to is '\$SCRATCH/titok', which has a variable that is not set on"):
        staged(index, "$SCRATCH/titok")
    with pytest.raises(MachineError, match="which is no absolute path"):
        staged(index, "scratch")


def test_a_full_disk_is_told_before_copying(index: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_SPARE_BYTES", 2**70)
    with pytest.raises(MachineError, match=r"do not fit into .*local disk.* GB are free; make room"):
        staged(index, place)
    assert not list(Path(place).rglob("*.tar"))


def test_a_place_that_cannot_be_written_is_named(index: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"stage_to: cannot write into .*file.*titok-staged-.*name another folder"):
        staged(index, str(tmp_path / "file"))


def test_names_of_shards_cannot_leave_the_folder(index: Path, place: str) -> None:
    with np.load(index) as archive:
        arrays = dict(archive)
    shutil.copy(index.parent / "train-000000.tar", index.parent.parent / "train-000000.tar")
    arrays["about"] = np.array(str(arrays["about"]).replace("train-000000.tar", "../train-000000.tar"))
    np.savez(index, **arrays)
    with pytest.raises(ShardError, match="its list of shards does not fit"):
        staged(index, place)


def test_images_that_stay_in_memory_are_read_where_they_lie(index: Path, place: str) -> None:
    square = DATASET.model_copy(update={"in_memory": True, "resize_rule": "adm"})
    assert len(open_images(index, square, stage_to=place)) == IMAGES
    assert not os.path.lexists(place)
