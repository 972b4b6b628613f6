"""Who works in a directory: one at a time, named, and under Slurm no longer than the job that takes over.

Slurm's commands are played by small scripts here; tests/slurm does it with the real ones.

Run: pytest tests/runtime/test_ownership.py
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from titok.runtime import ownership
from titok.runtime.ownership import InUseError, Owner, give_back, last_owner, owner_of, take

HOLD = """
import sys
from pathlib import Path
from titok.runtime.ownership import take
take(Path(sys.argv[1]))
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setattr(ownership, "GLANCE_SECONDS", 0.2)
    monkeypatch.setattr(ownership, "QUEUE_SECONDS", 0.05)
    return tmp_path / "owner.lock"


class Holder:
    """Another process that has the lock, as a Slurm job of its own if ``job`` is given."""

    def __init__(self, lock: Path, job: str | None = None) -> None:
        environment = {**os.environ, **({"SLURM_JOB_ID": job} if job else {})}
        line = [sys.executable, "-c", HOLD, str(lock)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(line, env=environment, **pipes)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "taken\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


QUEUE_LAG = 0.4
"""Seconds for which a cancelled job stays in the queue: its Snakemake deletes the outputs of what did not finish."""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files are the jobs that run, each with what `squeue -o '%u %k'` says; scancel ends them."""
    jobs, programs = tmp_path / "jobs", tmp_path / "programs"
    jobs.mkdir()
    programs.mkdir()
    (programs / "squeue").write_text(f'#!/bin/sh\ncat "{jobs}/$3" 2>/dev/null\n')
    (programs / "scancel").write_text(
        f'#!/bin/sh\nkill "$(sed -n 2p "{jobs}/$1")"\n(sleep {QUEUE_LAG}; rm -f "{jobs}/$1") >/dev/null 2>&1 &\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return jobs


def test_one_at_a_time_and_by_name(lock: Path) -> None:
    assert owner_of(lock) is None
    descriptor = take(lock)
    mine = Owner(os.getpid(), socket.gethostname(), None)
    assert owner_of(lock) == mine
    with pytest.raises(InUseError, match=f"process {os.getpid()} on {socket.gethostname()}"):
        take(lock)
    give_back(descriptor)
    assert owner_of(lock) is None
    assert last_owner(lock) is None
    give_back(take(lock))


def test_a_killed_process_leaves_its_name_but_no_lock(lock: Path) -> None:
    holder = Holder(lock)
    found = owner_of(lock)
    assert found is not None
    assert found.process == holder.process.pid
    holder.kill()
    assert owner_of(lock) is None
    assert last_owner(lock) == found
    give_back(take(lock))


def test_looking_does_not_stop_anybody(lock: Path) -> None:
    """`titok status` holds the lock while it looks; who wants it meanwhile waits a moment."""
    lock.touch()
    looking = os.open(lock, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.05, os.close, (looking,)).start()
    give_back(take(lock))


def test_an_older_or_damaged_file_names_nobody(lock: Path) -> None:
    for text in (b"4711", b"", b"{", b'{"pid": 1}'):
        lock.write_bytes(text)
        assert last_owner(lock) is None
        give_back(take(lock))


def test_an_orphan_of_the_same_job_is_cancelled(
    lock: Path, slurm: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = Holder(lock, job="7")
    (slurm / "7").write_text(f"someone rule_train_stage1_wildcards_s2_0\n{old.process.pid}\n")
    (slurm / "8").write_text(f"someone rule_train_stage1_wildcards_s2_0\n{old.process.pid}\n")
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    give_back(take(lock))
    assert not (slurm / "7").exists(), "taken only when the old job has left the queue"
    old.process.communicate()
    assert old.process.returncode == -15
    assert f"in use by process {old.process.pid} on {socket.gethostname()}, Slurm job 7" in capsys.readouterr().err


@pytest.mark.parametrize("lag", [0.02 * repetition for repetition in range(20)])
@pytest.mark.parametrize("how", ["killed", "given back"])
def test_the_old_job_leaves_the_queue_first(
    lock: Path, slurm: Path, monkeypatch: pytest.MonkeyPatch, how: str, lag: float
) -> None:
    """The race of the takeover: the training is over, on this very machine, its Snakemake not yet."""
    owner = Owner(2**22 + 1, socket.gethostname(), "7", has_left=how == "given back")  # a process that there cannot be
    lock.write_text(json.dumps(owner._asdict()))
    (slurm / "7").write_text(f"someone rule_train_stage1_wildcards_s2_0\n{owner.process}\n")
    (slurm / "8").write_text(f"someone rule_train_stage1_wildcards_s2_0\n{owner.process}\n")
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    threading.Timer(lag, (slurm / "7").unlink, (True,)).start()
    give_back(take(lock))
    assert not (slurm / "7").exists()


@pytest.mark.parametrize("has_left", [False, True])
def test_a_running_job_that_is_no_such_orphan_only_counts_while_it_holds_the_lock(
    lock: Path, slurm: Path, monkeypatch: pytest.MonkeyPatch, has_left: bool
) -> None:
    """Trained by hand in an allocation that goes on; another job continues."""
    lock.write_text(json.dumps(Owner(2**22 + 1, socket.gethostname(), "7", has_left)._asdict()))
    (slurm / "7").write_text("someone by hand\n0\n")
    (slurm / "8").write_text("someone rule_train_stage1_wildcards_s2_0\n0\n")
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    give_back(take(lock))
    assert (slurm / "7").exists(), "nobody cancelled it"


def test_giving_back_reaches_other_machines(lock: Path, slurm: Path) -> None:
    lock.write_text('{"process": 1, "host": "elsewhere", "slurm_job": "7", "has_left": true}')
    (slurm / "7").write_text("RUNNING\n")
    assert last_owner(lock) is None
    give_back(take(lock))


@pytest.mark.parametrize(
    ("their", "own"),
    [
        ("someone rule_train_stage1_wildcards_s2_0", "someone rule_train_stage1_wildcards_s2_1"),
        ("another rule_train_stage1_wildcards_s2_0", "someone rule_train_stage1_wildcards_s2_0"),
        ("someone by hand", "someone by hand"),
    ],
)
def test_anything_else_is_left_alone(
    lock: Path, slurm: Path, monkeypatch: pytest.MonkeyPatch, their: str, own: str
) -> None:
    old = Holder(lock, job="7")
    (slurm / "7").write_text(f"{their}\n{old.process.pid}\n")
    (slurm / "8").write_text(f"{own}\n0\n")
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    with pytest.raises(InUseError) as caught:
        take(lock)
    assert caught.value.owner.advice == "scancel 7"
    assert old.process.poll() is None
    old.kill()


def test_a_lock_that_does_not_reach_other_machines_is_not_trusted(
    lock: Path, slurm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock.write_text('{"process": 1, "host": "elsewhere", "slurm_job": "7"}')
    (slurm / "7").write_text("RUNNING\n")
    with pytest.raises(InUseError, match="process 1 on elsewhere, Slurm job 7"):
        take(lock)
    (slurm / "7").unlink()
    give_back(take(lock))
