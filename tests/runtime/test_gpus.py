"""GPUs are counted without torch and taken by one job at a time, until its process ends.

Run: pytest tests/runtime/test_gpus.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from titok.errors import MachineError
from titok.runtime.gpus import VISIBLE, take_gpus, visible_gpus

HOLD = """
import os
import sys
from pathlib import Path
from titok.runtime.gpus import take_gpus
number, visible, folder = sys.argv[1:]
taken = take_gpus(int(number), {"CUDA_VISIBLE_DEVICES": visible}, folder=Path(folder))
print(",".join(taken), flush=True)
os.execvp("cat", ["cat"])  # another program, which holds the lock until its input ends
"""


def held(number: int, visible: str, folder: Path) -> subprocess.Popen[str]:
    """A process that takes GPUs, becomes another program, and keeps them until its input ends."""
    line = [sys.executable, "-c", HOLD, str(number), visible, str(folder)]
    return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def names(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return [name for name in process.stdout.readline().strip().split(",") if name]


def release(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.communicate(timeout=30)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("0", ["0"]),
        ("2, 5", ["2", "5"]),
        ("GPU-a,GPU-b", ["GPU-a", "GPU-b"]),
        ("MIG-GPU-a/1/0", ["MIG-GPU-a/1/0"]),
        *((none, []) for none in ("", " ", "-1", "NoDevFiles", "void", "none", "all", "no_dev_files", ",0", "0,0")),
        ("0,-1,1", ["0"]),
        ("1,void,2", ["1"]),
        ("3,,4", ["3"]),
        ("0,GPU-a", ["0"]),
        ("GPU-a,0", ["GPU-a"]),
        ("GPU-a,GPU-a", []),
        ("0,1,-1,1", ["0", "1"]),
    ],
)
def test_the_environment_says_what_is_visible(value: str, found: list[str]) -> None:
    """As CUDA reads it: up to the first word that is no GPU; torch agrees where it knows the words, too."""
    assert visible_gpus({VISIBLE: value}) == found


@pytest.mark.parametrize(
    ("says", "found"),
    [
        ("echo GPU-1; echo GPU-2", ["GPU-1", "GPU-2"]),
        ("echo Driver/library version mismatch; exit 18", []),
        ("echo No devices were found", []),
        ("printf 'GPU-1\\r\\n'", ["GPU-1"]),
    ],
)
def test_else_the_driver_is_asked(
    says: str, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert visible_gpus({}) == found
    said = capsys.readouterr().err
    assert ("nvidia-smi fails here with status 18 (Driver/library version mismatch)" in said) == ("exit" in says)


@pytest.mark.parametrize(
    ("content", "trouble"),
    [("no program", "cannot be started here (Exec format error)"), ("#!/bin/sh\nexec sleep 9\n", "does not answer")],
)
def test_a_driver_that_is_broken_is_told_and_no_traceback(
    content: str, trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nvidia-smi").write_text(content)
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("titok.runtime.nvidia_smi.PATIENCE", 0.2)
    assert visible_gpus({}) == []
    assert f"no GPU is used: nvidia-smi {trouble}" in capsys.readouterr().err


def test_jobs_get_gpus_of_their_own_and_give_them_back(tmp_path: Path) -> None:
    first, second = held(1, "0,1,2", tmp_path), held(2, "0,1,2", tmp_path)
    taken = [names(first), names(second)]
    assert sorted(name for found in taken for name in found) == ["0", "1", "2"]
    assert [len(found) for found in taken] == [1, 2]
    release(first, second)
    third = held(3, "0,1,2", tmp_path)
    assert names(third) == ["0", "1", "2"]
    release(third)


def test_who_waits_holds_nothing_meanwhile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = held(1, "0,1", tmp_path)
    assert names(first) == ["0"]
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 1:
            other = held(1, "0,1", tmp_path)
            assert names(other) == ["1"], "the free one is not held by who waits for two"
            release(other)
        else:
            release(first)

    assert take_gpus(2, {VISIBLE: "0,1"}, folder=tmp_path, wait=wait) == ["0", "1"]
    assert len(waited) == 2
    assert capsys.readouterr().err.count("waiting for 2 of the GPUs 0, 1") == 1


def test_more_than_there_are_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        MachineError, match=r"3 GPUs wanted, but 2 are visible here \(0, 1; CUDA_VISIBLE_DEVICES is '0,1'\); ask"
    ):
        take_gpus(3, {VISIBLE: "0,1"}, folder=tmp_path)


def test_none_wanted_none_locked(tmp_path: Path) -> None:
    assert take_gpus(0, {VISIBLE: "0"}, folder=tmp_path) == []
    assert list(tmp_path.iterdir()) == []
