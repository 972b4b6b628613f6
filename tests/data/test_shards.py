"""Tar shards: what is written is what is read, equal input gives equal bytes, and every kind of damage is named."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from titok.data.shard_file import member_header
from titok.data.shard_index import ShardError
from titok.data.shards import ShardReader, ShardWriter
from titok.runtime.files import FileError, load_npz, save_npz


def encoded(seed: int, image_format: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(stream, format=image_format)
    return stream.getvalue()


SAMPLES = [
    (f"n0{number}_{number * 7}", encoded(number, "JPEG" if number % 3 else "PNG"), number % 4) for number in range(11)
]


def write(directory: Path, samples=SAMPLES, **settings) -> Path:
    with ShardWriter(directory, "train", class_names=["a", "b", "c", "d"], **settings) as writer:
        for sample in samples:
            writer.write(*sample)
    return directory


def test_reads_what_was_written_across_shards(tmp_path):
    write(tmp_path, max_samples=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "train-000000.tar",
        "train-000001.tar",
        "train-000002.tar",
        "train.index.npz",
    ]
    with ShardReader(tmp_path, "train") as reader:
        assert len(reader) == 11
        assert reader.keys.tolist() == [key for key, _, _ in SAMPLES]
        assert reader.labels.tolist() == [label for _, _, label in SAMPLES]
        assert reader.labels.dtype == np.int64
        assert reader.class_names == ["a", "b", "c", "d"]
        for index in np.random.default_rng(0).permutation(11):
            assert reader.read(index) == SAMPLES[index][1]


def test_shards_are_webdataset_tars(tmp_path):
    write(tmp_path)
    with tarfile.open(tmp_path / "train-000000.tar") as tar:
        members = tar.getmembers()
        contents = {member.name: tar.extractfile(member).read() for member in members}
    assert [member.name for member in members][:4] == ["n00_0.png", "n00_0.cls", "n01_7.jpg", "n01_7.cls"]
    assert contents["n01_7.cls"] == b"1"
    assert contents["n01_7.jpg"] == SAMPLES[1][1]
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {(0, 0, 0, "")}


@pytest.mark.parametrize(("name", "size"), [("a.cls", 1), (f"{'k' * 80}.jpg", 511), ("n01440764_18.jpg", 8**11 - 1)])
def test_headers_are_those_of_tarfile(name, size):
    member = tarfile.TarInfo(name)
    member.size = size
    assert member_header(name, size) == member.tobuf(tarfile.USTAR_FORMAT)


def test_shards_end_as_tarfile_ends_them(tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for key, image, label in SAMPLES:
            extension = "jpg" if image.startswith(b"\xff") else "png"
            for name, data in ((f"{key}.{extension}", image), (f"{key}.cls", b"%d" % label)):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    assert shard(write(tmp_path)).read_bytes() == stream.getvalue()


def test_equal_samples_give_equal_bytes(tmp_path):
    first, second = write(tmp_path / "a", max_samples=5), write(tmp_path / "b", max_samples=5)
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_fingerprint_follows_content_not_sharding(tmp_path):
    def fingerprint(name, samples, **settings):
        return ShardReader(write(tmp_path / name, samples, **settings), "train").fingerprint

    whole = fingerprint("a", SAMPLES)
    assert fingerprint("b", SAMPLES, max_samples=2) == whole
    assert fingerprint("c", SAMPLES[::-1]) != whole
    relabelled = [*SAMPLES[:-1], (SAMPLES[-1][0], SAMPLES[-1][1], 0)]
    assert fingerprint("d", relabelled) != whole


def test_max_bytes_closes_shards(tmp_path):
    write(tmp_path, max_bytes=6000)
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("*.tar"))]
    assert len(sizes) > 2
    content = [tarfile.BLOCKSIZE * 4 <= size <= 6000 + tarfile.RECORDSIZE for size in sizes]
    assert all(content)


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_images_become_rgb(tmp_path, mode):
    data = encoded(3, "JPEG", mode)
    with ShardReader(write(tmp_path, [("k", data, 0)]), "train") as reader:
        image = reader.image(0)
    assert (image.mode, image.size) == ("RGB", (6, 4))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def test_the_content_decides_the_extension(tmp_path):
    write(tmp_path, [("named_jpeg_but_png", encoded(0, "PNG"), 0)])
    with tarfile.open(tmp_path / "train-000000.tar") as tar:
        assert tar.getnames()[0] == "named_jpeg_but_png.png"


@pytest.mark.parametrize("key", ["", "../up", "a/b", "a.b", "-x", "ä", "k" * 81, "a b"])
def test_unsafe_keys_are_refused(tmp_path, key):
    with pytest.raises(ShardError, match="is not allowed; use 1 to 80 letters"):
        write(tmp_path, [(key, encoded(0), 0)])


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([("k", encoded(0), 0), ("k", encoded(1), 0)], "'k' was already written"),
        ([("k", encoded(0), 4)], "has label 4; allowed: 0 to 3"),
        ([("k", encoded(0), -1)], "has label -1"),
        ([("k", b"no image", 0)], "its 8 bytes are no image"),
        ([("k", encoded(0, "BMP"), 0)], "is a BMP image; allowed: JPEG, PNG"),
        ([], "no sample was written"),
    ],
)
def test_bad_samples_are_refused_and_leave_nothing(tmp_path, samples, message):
    with pytest.raises(ShardError, match=message):
        write(tmp_path, samples)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_writer_leaves_no_index(tmp_path):
    def samples():
        yield from SAMPLES[:5]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, samples(), max_samples=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train-000000.tar", "train-000001.tar"]
    with pytest.raises(ShardError, match=r"no usable index: .*train\.index\.npz does not exist"):
        ShardReader(tmp_path, "train")


def shard(directory: Path) -> Path:
    return directory / "train-000000.tar"


def test_a_truncated_shard_is_found_when_opened(tmp_path):
    path = shard(write(tmp_path))
    size = path.stat().st_size
    os.truncate(path, size - 700)
    with pytest.raises(ShardError, match=f"000000.tar: {size} bytes expected, {size - 700} found"):
        ShardReader(tmp_path, "train")


def test_a_shard_truncated_later_is_found_when_read(tmp_path):
    reader = ShardReader(write(tmp_path), "train")
    os.truncate(shard(tmp_path), 600)
    with pytest.raises(ShardError, match=rf"sample 0 \(n00_0\): {len(SAMPLES[0][1])} bytes expected, 88 found"):
        reader.read(0)


def alter(path: Path, content: bytes) -> None:
    """Flips one bit in the middle of ``content`` inside a file."""
    data = bytearray(path.read_bytes())
    data[data.index(content) + len(content) // 2] ^= 1
    path.write_bytes(data)


def test_an_altered_sample_is_found_when_read(tmp_path):
    alter(shard(write(tmp_path)), SAMPLES[4][1])
    with ShardReader(tmp_path, "train") as reader:
        reader.read(3)
        with pytest.raises(ShardError, match=r"000000.tar: sample 4 \(n04_28\): its \d+ bytes are not those"):
            reader.read(4)
    with ShardReader(tmp_path, "train", verify=False) as reader:
        assert reader.read(4) != SAMPLES[4][1]


def test_an_undecodable_sample_is_named(tmp_path):
    cut = encoded(0, "JPEG", size=(64, 64))[:-900]
    with (
        ShardReader(write(tmp_path, [("cut", cut, 0)]), "train") as reader,
        pytest.raises(ShardError, match=r"sample 0 \(cut\): cannot be decoded"),
    ):
        reader.image(0)


def test_a_missing_shard_is_named(tmp_path):
    shard(write(tmp_path)).unlink()
    with pytest.raises(ShardError, match=r"train-000000\.tar is missing"):
        ShardReader(tmp_path, "train")


def test_a_shard_of_another_preparation_is_found(tmp_path):
    one, other = write(tmp_path / "one", max_samples=6), write(tmp_path / "other", SAMPLES[:3])
    shard(one).write_bytes(shard(other).read_bytes())
    with pytest.raises(ShardError, match="cut short or replaced"):
        ShardReader(one, "train")


def rewrite_index(directory: Path, **changes) -> None:
    """Saves the index again with other columns, or with other entries of ``about``; None drops a column."""
    arrays = load_npz(directory / "train.index.npz")
    about = json.loads(str(arrays["about"]))
    for name, value in changes.items():
        if name in arrays:
            arrays[name] = value
        else:
            about[name] = value
    arrays["about"] = np.array(json.dumps(about))
    save_npz(directory / "train.index.npz", **{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize(
    "changes",
    [
        {"samples": 10},
        {"label": np.zeros(10, np.int32)},
        {"shards": [{"name": "train-000000.tar", "bytes": 600, "samples": 11}]},
        {"shards": [{"name": "train-000000.tar", "bytes": 10**6, "samples": 10}]},
        {"shards": []},
    ],
)
def test_an_index_that_contradicts_itself_is_refused(tmp_path, changes):
    rewrite_index(write(tmp_path), **changes)
    with pytest.raises(ShardError, match=r"train\.index\.npz: its list of shards does not fit its 11 samples"):
        ShardReader(tmp_path, "train")


@pytest.mark.parametrize("changes", [{"format": "titok-shards-0"}, {"sha1": None}])
def test_an_index_of_another_format_is_refused(tmp_path, changes):
    rewrite_index(write(tmp_path), **changes)
    with pytest.raises(ShardError, match=r"train\.index\.npz is no index of format 'titok-shards-1'"):
        ShardReader(tmp_path, "train")


def test_a_damaged_index_is_found(tmp_path):
    alter(write(tmp_path) / "train.index.npz", b"n01_7")
    with pytest.raises(ShardError, match=r"no usable index: .*cut short or altered"):
        ShardReader(tmp_path, "train")


def _read_in_child(reader, index, queue):
    queue.put(reader.read(index))


def test_a_reader_survives_fork(tmp_path):
    reader = ShardReader(write(tmp_path, max_samples=3), "train")
    reader.read(0)  # The child inherits this open shard.
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_read_in_child, args=(reader, 1, queue))
    child.start()
    assert queue.get(timeout=60) == SAMPLES[1][1]
    child.join(60)
    assert reader.read(2) == SAMPLES[2][1]


def test_a_pickled_reader_opens_its_files_again(tmp_path):
    reader = ShardReader(write(tmp_path), "train", verify=False)
    reader.read(0)
    again = pickle.loads(pickle.dumps(reader))
    reader.close()
    assert again.read(5) == SAMPLES[5][1]
    alter(shard(tmp_path), SAMPLES[4][1])
    assert again.read(4) != SAMPLES[4][1]  # verify=False came along.


def test_a_closed_reader_opens_again(tmp_path):
    reader = ShardReader(write(tmp_path), "train")
    reader.read(0)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None
    reader.close()
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == before - 1
    assert reader.read(2) == SAMPLES[2][1]


def test_a_full_disk_is_reported_and_leaves_no_shard(tmp_path):
    resource = pytest.importorskip("resource")
    import signal

    old_limit, old_handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old_limit[1]))
    try:
        with pytest.raises(
            FileError, match=r"cannot write .*train-000000\.tar: the file is larger than the system allows"
        ):
            write(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
        signal.signal(signal.SIGXFSZ, old_handler)
    assert list(tmp_path.iterdir()) == []
