"""Atomic files: whole or absent whatever goes wrong, and damage is named when reading."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from titok.runtime.files import (
    FileError,
    atomic_path,
    existing_file,
    load_npz,
    read_json,
    save_npz,
    sha256_file,
    write_json,
    write_text,
)


def write_half(path, error, **known):
    """Fails with ``error`` after ten bytes."""
    with atomic_path(path, **known) as temporary:
        temporary.write_bytes(b"x" * 10)
        raise error


def only(directory, *names):
    assert sorted(path.name for path in directory.iterdir()) == sorted(names)


@pytest.fixture
def size_limit():
    """Files of this process may have at most 4096 bytes: the nearest thing to a full disk that needs no rights."""
    resource = pytest.importorskip("resource")
    old_limit, old_handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old_limit[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
    signal.signal(signal.SIGXFSZ, old_handler)


def test_the_name_appears_at_the_end(tmp_path):
    path = tmp_path / "deep" / "er" / "result.json"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".json"
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    only(path.parent, "result.json")


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(1), OSError(errno.EIO, "I/O")])
def test_errors_keep_the_old_file_and_remove_the_temporary(tmp_path, error):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(type(error)) as caught:
        write_half(path, error)
    assert caught.value is error
    assert path.read_text() == "old"
    only(tmp_path, "a.txt")


def test_the_temporary_may_never_have_been_made(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        pass
    only(tmp_path)


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_two_writers_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_path(path) as first, atomic_path(path) as second:
        assert first != second
        first.write_text("1")
        second.write_text("2")
    assert path.read_text() == "1"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_is_explained(tmp_path, number):
    path = tmp_path / "big.npz"
    write_text(path, "old")
    with pytest.raises(FileError) as caught:
        write_half(path, OSError(number, os.strerror(number)), expected_bytes=1_000_000)
    text = str(caught.value)
    for part in (str(path), "1,000,000 bytes were wanted", "10 were written", "the old big.npz is untouched"):
        assert part in text
    assert ("disk is full" in text) == (number == errno.ENOSPC)
    assert path.read_text() == "old"


def write_big_text(path):
    write_text(path, "x" * 10_000)


def write_big_npz(path):
    save_npz(path.with_suffix(".npz"), big=np.zeros(10_000))


def write_big_safetensors(path):
    with atomic_path(path) as temporary:
        save_file({"big": torch.zeros(10_000)}, temporary)


def write_big_checkpoint(path):
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        torch.save({"big": torch.zeros(10_000)}, stream)


@pytest.mark.parametrize("write", [write_big_text, write_big_npz, write_big_safetensors, write_big_checkpoint])
def test_a_real_write_that_fails_is_explained(tmp_path, size_limit, write):
    with pytest.raises(FileError, match=r"cannot write .*result\.\w+: the file is larger than the system allows"):
        write(tmp_path / "result.txt")
    only(tmp_path)


def test_a_really_full_disk_is_explained(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        write_text(tmp_path / "a.txt", "old")
        with pytest.raises(
            FileError, match=r"a\.txt: the disk is full \(200,000 bytes were wanted, .*the old a.txt is unto"
        ):
            write_text(tmp_path / "a.txt", "x" * 200_000)
        assert (tmp_path / "a.txt").read_text() == "old"
        only(tmp_path, "a.txt")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_killed_writer_leaves_no_result(tmp_path):
    script = (
        "import os, sys; from titok.runtime.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.txt")], check=False)
    assert not (tmp_path / "a.txt").exists()


def test_json_round_trip(tmp_path):
    document = {"name": "Fréchet", "value": 1.5, "list": [1, None, True]}
    write_json(tmp_path / "a.json", document)
    assert read_json(tmp_path / "a.json") == document
    assert "Fréchet" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_names_that_are_no_utf8_come_back(tmp_path):
    """As on disks of old cameras; they would otherwise fail after all the work."""
    name = os.fsdecode(b"caf\xe9.png")
    write_json(tmp_path / "names.json", {"name": name, "other": "Käfer"})
    assert read_json(tmp_path / "names.json") == {"name": name, "other": "Käfer"}
    write_json(tmp_path / "plain.json", ["Käfer"])
    assert "Käfer" in (tmp_path / "plain.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("read", [read_json, load_npz, sha256_file])
def test_pointers_of_git_lfs_are_called_so(tmp_path, read):
    (tmp_path / "a.npz").write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{64 * 'a'}\nsize 9\n")
    with pytest.raises(FileError, match=r"a\.npz is a pointer of Git LFS \(\d+ bytes\), not the file itself"):
        read(tmp_path / "a.npz")


def test_json_has_no_nan(tmp_path):
    with pytest.raises(FileError, match=r"a\.json.*finite numbers only"):
        write_json(tmp_path / "a.json", {"value": float("nan")})
    only(tmp_path)


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe"])
def test_damaged_json_is_named(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(FileError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileError, match=r"none\.json does not exist .*run the step that writes it"):
        read_json(tmp_path / "none.json")
    with pytest.raises(FileError, match=r"folder .*gone is missing too"):
        load_npz(tmp_path / "gone" / "a.npz")
    with pytest.raises(FileError, match="is a folder"):
        sha256_file(tmp_path)


def test_npz_round_trip_with_awkward_names(tmp_path):
    arrays = {
        "file": np.arange(3),
        "path": np.eye(2, dtype=np.float32),
        "text": np.array("ä"),
        "empty": np.zeros((0, 3)),
    }
    save_npz(tmp_path / "a.npz", **arrays)
    loaded = load_npz(tmp_path / "a.npz")
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype
    with np.load(tmp_path / "a.npz") as plain:
        assert sorted(plain.files) == sorted(arrays)


def test_npz_bytes_follow_content(tmp_path):
    for name in ("a", "b"):
        save_npz(tmp_path / f"{name}.npz", x=np.arange(5))
    assert sha256_file(tmp_path / "a.npz") == sha256_file(tmp_path / "b.npz")


def test_npz_refuses_objects_and_other_names(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        save_npz(tmp_path / "a.npz", x=np.array([{}]))
    with pytest.raises(FileError, match=r"must be called <name>\.npz"):
        save_npz(tmp_path / "a.dat", x=np.zeros(1))
    only(tmp_path)


@pytest.mark.parametrize("position", [0.0, 0.3, 0.5, 0.9])
def test_damaged_npz_is_named(tmp_path, position):
    path = tmp_path / "a.npz"
    save_npz(path, x=np.arange(1000), y=np.arange(1000))
    whole = path.read_bytes()
    cut = int(position * len(whole))
    altered = bytearray(whole)
    altered[cut + 200] ^= 0xFF  # Inside an array, past its header.
    for content in (whole[:cut], bytes(altered)):
        path.write_bytes(content)
        with pytest.raises(FileError, match=r"a\.npz is no readable array archive"):
            load_npz(path)


def test_a_files_sum(tmp_path):
    write_text(tmp_path / "a.txt", "abc")
    assert sha256_file(tmp_path / "a.txt") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o027, 0o077])
@pytest.mark.parametrize("made", [None, 0o600, 0o666])
def test_files_are_as_readable_as_the_umask_says(tmp_path, umask, made):
    """However their writer made them: safetensors gives none but the owner any rights."""
    path, old = tmp_path / "a.safetensors", os.umask(umask)
    try:
        path.write_text("an old one")
        path.chmod(0o600)
        with atomic_path(path) as temporary:
            assert not temporary.exists()
            if made is None:
                save_file({"a": torch.zeros(3)}, temporary)
            else:
                temporary.write_text("x")
                temporary.chmod(made)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    only(tmp_path, "a.safetensors")


def test_a_device_is_said_to_be_one() -> None:
    with pytest.raises(FileError, match="/dev/null is a pipe or a device, a file is needed"):
        existing_file("/dev/null")
