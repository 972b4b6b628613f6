"""State directories: rolling atomic checkpoints, damage, other people's settings, and two trainings at once."""

from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from training.tiny import build

from titok.config.training import Compute
from titok.runtime.files import FileError, sha256_file
from titok.training import checkpoint
from titok.training.checkpoint import CheckpointError, DamagedCheckpointWarning, StateDirectory
from titok.training.loop import Run

IDENTITY = {"seed": 0, "config": {"steps": 10, "optimizer": {"learning_rate": 0.1}}}


def state_of(step: int) -> dict[str, object]:
    return {"weights": torch.full((4,), float(step)), "names": ["a", "b"], "latest": {"loss": 0.5}}


def filled(directory: Path, steps: list[int], keep: int = 2) -> None:
    with StateDirectory(directory, IDENTITY, keep=keep) as state:
        for step in steps:
            state.save(step, state_of(step))


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_keeps_the_newest_and_loads_the_last(tmp_path: Path) -> None:
    filled(tmp_path, [1, 2, 3, 4], keep=2)
    assert [name for name in names(tmp_path) if name.endswith(".pt")] == ["step-00000003.pt", "step-00000004.pt"]
    with StateDirectory(tmp_path, IDENTITY) as state:
        loaded = state.load()
    assert loaded is not None
    assert loaded["step"] == 4
    assert torch.equal(loaded["weights"], torch.full((4,), 4.0))


def test_an_empty_directory_has_no_state(tmp_path: Path) -> None:
    with StateDirectory(tmp_path / "new", IDENTITY) as state:
        assert state.load() is None


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "no_sum"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(tmp_path: Path, damage: str) -> None:
    filled(tmp_path, [5, 6])
    newest = tmp_path / "step-00000006.pt"
    data = bytearray(newest.read_bytes())
    match damage:
        case "truncate":
            newest.write_bytes(data[: len(data) // 2])
        case "flip":
            data[len(data) // 2] ^= 0xFF
            newest.write_bytes(data)
        case "empty":
            newest.write_bytes(b"")
        case "no_sum":
            (tmp_path / "step-00000006.pt.sha256").unlink()
    with StateDirectory(tmp_path, IDENTITY) as state:
        with pytest.warns(DamagedCheckpointWarning, match=r"step-00000006\.pt is damaged"):
            loaded = state.load()
        assert loaded is not None
        assert loaded["step"] == 5
        state.save(7, state_of(7))
    assert [name for name in names(tmp_path) if name.endswith(".pt")] == ["step-00000005.pt", "step-00000007.pt"]


def test_when_all_are_damaged_it_says_what_to_do(tmp_path: Path) -> None:
    filled(tmp_path, [5, 6])
    for path in tmp_path.glob("*.pt"):
        path.write_bytes(b"x")
    with StateDirectory(tmp_path, IDENTITY) as state:
        with pytest.warns(DamagedCheckpointWarning), pytest.raises(CheckpointError, match="delete the directory"):
            state.load()
        with pytest.raises(CheckpointError, match="none of the checkpoints"):
            state.load()


def test_other_settings_are_refused_with_the_keys_and_nothing_changes(tmp_path: Path) -> None:
    filled(tmp_path, [3])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "owner.lock"}
    other = {"seed": 1, "config": {"steps": 10, "optimizer": {"learning_rate": 0.2}, "new": True}}
    with pytest.raises(CheckpointError) as caught, StateDirectory(tmp_path, other):
        pass
    message = str(caught.value)
    assert "config.optimizer.learning_rate is 0.1 there and 0.2 now" in message
    assert "config.new is 'nothing' there and True now" in message
    assert "seed is 0 there and 1 now" in message
    assert "steps" not in message
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "owner.lock"} == before
    filled(tmp_path, [4])  # the lock was given back


def test_two_trainings_do_not_share_a_directory(tmp_path: Path) -> None:
    second = StateDirectory(tmp_path, IDENTITY)
    with StateDirectory(tmp_path, IDENTITY), pytest.raises(CheckpointError, match=f"process {os.getpid()}"):
        second.__enter__()
    with StateDirectory(tmp_path, IDENTITY):
        pass


def test_a_killed_process_leaves_the_lock_open_and_the_last_checkpoint_whole(tmp_path: Path) -> None:
    program = f"""
import torch
from titok.training.checkpoint import StateDirectory
with StateDirectory({str(tmp_path)!r}, {IDENTITY!r}) as state:
    state.save(1, {{"weights": torch.ones(1)}})
    print("saved", flush=True)
    while True:
        state.save(2, {{"weights": torch.ones(2_000_000)}})
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "saved\n"
        process.send_signal(signal.SIGKILL)
    with StateDirectory(tmp_path, IDENTITY) as state:
        loaded = state.load()
    assert loaded is not None
    assert loaded["step"] in (1, 2)


def test_an_error_while_saving_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    with StateDirectory(tmp_path, IDENTITY) as state:
        state.save(1, state_of(1))
        with pytest.raises(AttributeError):
            state.save(2, {"not saveable": lambda: None})
        loaded = state.load()
    assert loaded is not None
    assert loaded["step"] == 1
    assert not list(tmp_path.glob("*.partial*"))


def test_time_decides_when_the_next_one_is_due(tmp_path: Path) -> None:
    with StateDirectory(tmp_path / "a", IDENTITY, seconds=0) as state:
        assert state.is_due()
    with StateDirectory(tmp_path / "b", IDENTITY, seconds=3600) as state:
        assert not state.is_due()


def test_it_is_said_once_that_one_is_due_and_by_the_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now)
    with StateDirectory(tmp_path, IDENTITY, seconds=10) as state, StateDirectory(tmp_path, {}, owner=False) as other:
        now = 11.0
        assert (state.is_due(), state.is_due(), other.is_due()) == (True, False, False)
        now = 1000.0
        assert (state.is_due(), other.is_due()) == (True, False)


def test_a_disk_that_does_not_answer_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path, [5, 6])

    def unreachable(path: Path) -> str:
        raise OSError(errno.ESTALE, "Stale file handle")

    with StateDirectory(tmp_path, IDENTITY) as state:
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "sha256_file", unreachable)
            with pytest.raises(CheckpointError, match=r"step-00000006\.pt cannot be read now \(.*Stale file handle"):
                state.load()
        assert not list(tmp_path.glob("*.damaged"))
        assert state.load()["step"] == 6  # type: ignore[index]


def test_the_sum_taken_while_writing_is_that_of_the_file(tmp_path: Path) -> None:
    with StateDirectory(tmp_path / "a", IDENTITY) as state:
        state.save(1, {"weights": torch.randn(1000, 100)})
    [file] = (tmp_path / "a").glob("step-*.pt")
    assert file.with_suffix(".pt.sha256").read_text().strip() == sha256_file(file)


def test_in_the_background_a_copy_is_written_while_the_original_changes(tmp_path: Path) -> None:
    weights = torch.zeros(200, 1000)
    with StateDirectory(tmp_path / "a", IDENTITY, keep=2, background=True) as state:
        for step in range(1, 6):
            weights.fill_(step)
            state.save(step, {"nested": [{"weights": weights}], "names": ("a", 1)})
            weights.fill_(-1)
        state.finish()
        assert [path.name for path in state.checkpoints()] == ["step-00000005.pt", "step-00000004.pt"]
        found = state.load()
    assert found is not None
    assert (found["nested"][0]["weights"] == 5).all()
    assert found["names"] == ("a", 1)


def test_an_error_in_the_background_is_raised_by_the_next_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(content: object, stream: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with StateDirectory(tmp_path / "a", IDENTITY, background=True) as state:
        with monkeypatch.context() as patch:
            patch.setattr(torch, "save", full)
            state.save(1, {})
            with pytest.raises(FileError, match="the disk is full"):
                state.save(2, {})
        state.save(3, {"after": 1})
    with StateDirectory(tmp_path / "a", IDENTITY) as state:
        found = state.load()
    assert found is not None
    assert found["after"] == 1


def test_leaving_waits_for_the_background_and_tells_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(content: object, stream: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with (
        pytest.raises(FileError, match="the disk is full"),
        StateDirectory(tmp_path, IDENTITY, background=True) as state,
    ):
        state.save(1, {})


def mapped(folder: Path) -> set[str]:
    """Names of the files below ``folder`` whose pages are part of this process's memory."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {Path(line.split(maxsplit=5)[5]).name for line in lines if str(folder) in line}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no list of what is mapped")
@pytest.mark.parametrize("name", ["stage2", "probe"])
def test_a_checkpoint_is_mapped_while_it_is_taken_up_and_no_longer(tmp_path: Path, name: str) -> None:
    """Processes of a machine share the file's pages; none of them is what the training goes on working with."""
    task, batches, settings = build(name, compute=Compute(precision="fp16" if name == "stage2" else "fp32"))
    first = Run(task, settings, seed=0, config={})
    other = Run(build(name).task, settings, seed=0, config={})
    with StateDirectory(tmp_path, first.identity) as state:
        first.resume(state, tensorboard=False)
        for _ in range(6):
            first.train_one_step(batches)
        first.save(state)
        loaded = state.load()
        assert mapped(tmp_path) == {"step-00000006.pt"}
        del loaded
        other.resume(state, tensorboard=False)
        gc.collect()
        assert mapped(tmp_path) == set()
        assert_equal(first.task.training_state(), other.task.training_state())
        assert other.task.players["model"].optimizer.state


def assert_equal(one: Any, other: Any) -> None:
    """Nested plain data and tensors are the same, bit for bit."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, Mapping):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    else:
        assert one == other
