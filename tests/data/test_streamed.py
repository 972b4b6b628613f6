"""Streamed images: official pixels through the shards, the same batches for any workers, processes and resumes."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import signal
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from data.official_transform import train_transform
from golden.rule import HERE, load_golden
from PIL import Image

from titok.config.data import Dataset
from titok.config.training import ImageTraining
from titok.config.views import ViewSet
from titok.data.decoders import torchvision_window
from titok.data.images import ImageSet, TrainingImages
from titok.data.opening import open_images, training_images
from titok.data.order import batch_indices
from titok.data.parity import compare_decoders
from titok.data.shard_index import ShardError
from titok.data.shards import ShardWriter
from titok.data.streamed import StreamedSet, StreamedTraining
from titok.data.transforms import Crop, eval_transform, floats_on, to_uint8
from titok.data.views import views_of
from titok.errors import MachineError
from titok.runtime.seed import generator

GOLDEN = load_golden("preprocessing").extra["per_image"]
SIZES = [(50, 37), (37, 50), (53, 80), (24, 31), (32, 32), (64, 32), (33, 30), (40, 90), (48, 48), (90, 31), (36, 36)]
MODES = ["RGB", "L", "CMYK", "RGB"]
RESIZE, CROP = 36, 32


def photograph(number: int, size: tuple[int, int]) -> bytes:
    """A JPEG of soft shapes and some noise, in one of the modes that ImageNet has."""
    draws = np.random.default_rng(number)
    coarse = Image.fromarray(draws.integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    values = np.asarray(coarse) + draws.normal(0, 6, (size[1], size[0], 3))
    stream = io.BytesIO()
    picture = Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert(MODES[number % len(MODES)])
    picture.save(stream, format="JPEG", quality=92)
    return stream.getvalue()


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    """Eleven images of all shapes, in three shards."""
    folder = tmp_path_factory.mktemp("shards")
    with ShardWriter(folder, "train", max_samples=4) as writer:
        for number, size in enumerate(SIZES):
            writer.write(f"image-{number}", photograph(number, size), number % 3)
    return folder


def pictures(directory: Path) -> list[Image.Image]:
    return [Image.open(io.BytesIO(photograph(number, size))).convert("RGB") for number, size in enumerate(SIZES)]


def training(directory: Path, workers: int = 0, **settings) -> StreamedTraining:
    images = StreamedSet(directory, "train", RESIZE, workers=workers)
    return StreamedTraining(images, CROP, **{"batch_size": 8, "seed": 3, **settings})


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_evaluation_equals_the_official_transform(directory, workers):
    images = StreamedSet(directory, "train", RESIZE, workers=workers)
    batches = list(images.crops(CROP, batch_size=4))
    assert [len(batch.labels) for batch in batches] == [4, 4, 3]
    expected = torch.stack([eval_transform(picture, RESIZE, CROP) for picture in pictures(directory)])
    assert torch.equal(torch.cat([batch.images for batch in batches]), expected)
    assert torch.cat([batch.labels for batch in batches]).tolist() == [n % 3 for n in range(len(SIZES))]


def test_training_equals_the_official_transform(directory):
    source, originals = training(directory), pictures(directory)
    for step in range(3):
        batch = source.batch(step)
        for position, index in enumerate(batch_indices(step, 8, len(SIZES), seed=3)):
            draws = generator(3, "augment", step, position)
            expected = train_transform(originals[index], RESIZE, CROP, draws)
            assert torch.equal(floats_on(batch.images[position], "cpu"), expected)
            assert batch.labels[position] == index % 3


@pytest.mark.parametrize("workers", [0, 1])
def test_photographs_through_shards_are_golden(tmp_path, workers):
    with ShardWriter(tmp_path, "test") as writer:
        for number, name in enumerate(GOLDEN):
            writer.write(name, (HERE / "preprocessing" / f"{name}.jpg").read_bytes(), number)
    official = StreamedSet(tmp_path, "test", 256, workers=workers)
    adm = StreamedSet(tmp_path, "test", 281, "adm", workers=workers)
    adm_256 = StreamedSet(tmp_path, "test", 256, "adm", workers=workers)
    for crops, name in ((official.crops(256), "eval"), (adm_256.crops(256), "adm_256"), (adm.crops(281), "adm_281")):
        (batch,) = crops
        assert [crc32(image) for image in batch.images] == [golden[f"{name}_crc32"] for golden in GOLDEN.values()]
    for number, golden in enumerate(GOLDEN.values()):
        for seed in range(4):
            drawn = golden[f"train_seed{seed}"]
            where = Crop(drawn["top"], drawn["left"], drawn["flip"])
            assert crc32(official.window(number, 256, where) / 255) == drawn["crc32_u8"]


def crc32(image: torch.Tensor) -> int:
    """Checksum of floats (3, H, W) in the golden layout: uint8 (H, W, 3)."""
    return zlib.crc32(to_uint8(image, "round").permute(1, 2, 0).contiguous().numpy().tobytes())


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_order_and_crops_do_not_depend_on_workers_and_processes(directory, world_size, workers):
    whole = [training(directory).batch(step) for step in range(3)]
    ranks = [training(directory, workers, rank=rank, world_size=world_size) for rank in range(world_size)]
    for step in range(3):
        shares = [rank.batch(step) for rank in ranks]
        assert torch.equal(torch.cat([share.images for share in shares]), whole[step].images)
        assert torch.equal(torch.cat([share.labels for share in shares]), whole[step].labels)
    for rank in ranks:
        rank.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_any_step_can_be_asked_at_any_time(directory, workers):
    source = training(directory, workers)
    in_sequence = [source.batch(step) for step in range(6)]
    resumed = training(directory, workers)
    for step in (4, 5, 2, 2, 0):
        assert torch.equal(resumed.batch(step).images, in_sequence[step].images)
    far = resumed.batch(10**9).images
    assert torch.equal(far, training(directory).batch(10**9).images)
    resumed.close()
    assert torch.equal(resumed.batch(1).images, in_sequence[1].images)


def test_a_worker_killed_in_training_is_told_and_the_next_batch_starts_new_ones(directory):
    source, expected = training(directory, workers=1), training(directory).batch(3).images
    source.batch(0)
    (worker,) = multiprocessing.active_children()
    os.kill(worker.pid, signal.SIGKILL)
    time.sleep(0.2)  # Torch would raise here, in the middle of whatever is done between two batches.
    with pytest.raises(MachineError, match=r"a worker process that reads images is gone .* use fewer workers"):
        list(map(source.batch, range(1, 20)))
    assert torch.equal(source.batch(3).images, expected)
    source.close()


def test_every_epoch_has_every_image_once(directory):
    source = training(directory, batch_size=11, random_crop=False, random_flip=False)
    everything = sorted(
        image.sum().item() for image in torch.cat([b.images for b in source._reading.images.crops(CROP)])
    )
    epochs = [floats_on(source.batch(epoch).images, "cpu") for epoch in range(2)]
    for epoch in epochs:
        assert sorted(image.sum().item() for image in epoch) == everything
    assert not torch.equal(*epochs)


def test_only_what_is_asked_for_is_read(directory, monkeypatch):
    source, read = training(directory), []
    reader = source._reading.images.reader
    original = reader.read
    monkeypatch.setattr(reader, "read", lambda index: read.append(index) or original(index))
    source.batch(7)
    assert read == batch_indices(7, 8, len(SIZES), seed=3).tolist()
    next(source._reading.images.crops(CROP, batch_size=2))
    assert read[8:] == [0, 1]


def test_global_randomness_is_left_alone(directory):
    before = torch.get_rng_state()
    training(directory, workers=1).batch(5)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_can_be_sent_to_other_processes(directory):
    images = pickle.loads(pickle.dumps(StreamedSet(directory, "train", RESIZE)))
    assert torch.equal(
        next(images.crops(CROP)).images, next(StreamedSet(directory, "train", RESIZE).crops(CROP)).images
    )


def square_shards(folder: Path, count: int = 7) -> Path:
    with ShardWriter(folder, "train") as writer:
        for number in range(count):
            writer.write(f"square-{number}", photograph(number, (40, 40)), number)
    return folder


@pytest.mark.parametrize("rule", ["official", "adm"])
@pytest.mark.parametrize("workers", [0, 2])
def test_in_memory_and_streamed_are_the_same_images(directory, tmp_path, rule, workers):
    folder = square_shards(tmp_path) if rule == "official" else directory
    settings = {"kind": "digits", "resize": RESIZE, "image_size": CROP, "resize_rule": rule}
    kept, streamed = (
        open_images(folder / "train.index.npz", Dataset(**settings, in_memory=choice), workers=workers)
        for choice in (True, False)
    )
    assert (type(kept), type(streamed)) == (ImageSet, StreamedSet)
    assert kept.fingerprint == streamed.fingerprint
    assert kept.keys.tolist() == streamed.keys.tolist()
    views = views_of(ViewSet(crops="five", mirrored=True, random_crops=2))
    for where in (None, *(view.crop_of for view in views)):
        for one, other in zip(kept.crops(CROP, 3, where), streamed.crops(CROP, 3, where), strict=True):
            assert torch.equal(one.images, other.images)
            assert torch.equal(one.labels, other.labels)
    centred = ImageTraining(batch_size=4, random_crop=False, random_flip=False)
    batches = [training_images(images, CROP, centred, seed=1) for images in (kept, streamed)]
    assert [type(source) for source in batches] == [TrainingImages, StreamedTraining]
    assert torch.equal(batches[0].batch(5).images, batches[1].batch(5).images)


@pytest.mark.parametrize("workers", [0, 1])
def test_damage_is_reported_with_the_samples_name(tmp_path, workers):
    square_shards(tmp_path)
    shard = tmp_path / "train-000000.tar"
    data = bytearray(shard.read_bytes())
    data[600] ^= 1
    shard.write_bytes(data)
    images = StreamedSet(tmp_path, "train", RESIZE, workers=workers)
    with pytest.raises(ShardError, match=r"train-000000.tar: sample 0 \(square-0\): .* the shard was altered"):
        next(images.crops(CROP))
    source = StreamedTraining(images, CROP, batch_size=7, seed=0)
    for _ in range(2):  # asked again, it fails again
        with pytest.raises(ShardError, match="the shard was altered"):
            source.batch(0)


@pytest.mark.parametrize("workers", [0, 1])
def test_crops_that_do_not_fit_are_reported_with_the_samples_name(directory, workers):
    images = StreamedSet(directory, "train", 30, workers=workers)
    with pytest.raises(ShardError, match=r"sample 0 \(image-0\): DataError: crop is 32, larger than the 30"):
        next(images.crops(32))


def test_torchvision_reads_nearly_the_same_pixels(directory):
    images = StreamedSet(directory, "train", RESIZE)
    report = compare_decoders(images, CROP, "torchvision", 100)
    assert report["num_images"] == len(SIZES)
    assert report["largest_difference"] > 0
    windows = [
        torchvision_window(images.reader, 0, RESIZE, CROP, Crop(2, 3, flip), "official").int() for flip in (False, True)
    ]
    assert torch.equal(windows[0].flip(-1), windows[1])
    assert (windows[0] - images.window(0, CROP, Crop(2, 3, False))).abs().max() <= 3


def test_a_report_says_how_pixels_differ(directory, monkeypatch):
    images = StreamedSet(directory, "train", RESIZE)

    def pillow(reader, index, resize, crop, where, rule):
        return images.window(index, crop, where) // 2

    def brighter(reader, index, *how):
        return pillow(reader, index, *how) + (index == 4)

    monkeypatch.setattr("titok.data.parity.WINDOWS", {"pillow": pillow, "torchvision": brighter})
    report = compare_decoders(images, CROP, "torchvision", 100)
    assert report["largest_difference"] == report["worst_mean_absolute_difference"] == 1
    assert report["mean_absolute_difference"] == report["mean_difference"] == pytest.approx(1 / 11)
    assert report["share_of_equal_values"] == pytest.approx(10 / 11)
    assert "(image-4)" in report["worst_image"]
    faster = ImageTraining(batch_size=4, decoder="torchvision")
    with pytest.raises(MachineError, match=r"'torchvision' differs from Pillow by 1.00 grey .*image-4.* allowed: 0.1"):
        training_images(images, CROP, faster, seed=0)


def test_another_decoder_needs_streamed_images_and_the_official_resize(tmp_path, directory):
    faster = ImageTraining(batch_size=4, decoder="torchvision")
    kept = open_images(square_shards(tmp_path) / "train.index.npz", Dataset(resize=RESIZE, image_size=CROP))
    with pytest.raises(MachineError, match="are kept in memory and decoded only once; remove it, or set"):
        training_images(kept, CROP, faster, seed=0)
    with pytest.raises(ShardError, match="resize_rule is 'adm'; decoder 'torchvision' knows 'official' only"):
        training_images(StreamedSet(directory, "train", RESIZE, "adm"), CROP, faster, seed=0)
