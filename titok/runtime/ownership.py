"""Who works in a directory: a lock file that says which process on which machine, and in which Slurm job.

The lock falls open when its process ends, however it ends. A Slurm job can outlive the Snakemake that submitted it (the
login node was rebooted, say); the job that a new Snakemake submits in its place finds the directory in use. It then
cancels the old one, waits until that has saved and left the queue, and goes on from there. The lock alone is not worth
waiting for: between its fall and the end of the old job, Snakemake there deletes the outputs of what did not finish,
and would delete those of the new job. All this only for a job of the same user with the same rule and wildcards, which
Snakemake's plugin writes into the comment of a job.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from titok.errors import TitokError

GLANCE_SECONDS = 1.0
"""How long somebody may look whether a directory is in use, which takes the lock for a moment."""
FAREWELL_SECONDS = 180.0
"""How long a cancelled job may take to save and end."""
QUEUE_SECONDS = 1.0
"""How long to wait between two questions whether it has, which Slurm answers to everybody."""


class Owner(NamedTuple):
    """Who holds a lock."""

    process: int | None = None
    host: str | None = None
    slurm_job: str | None = None
    has_left: bool = False
    """Whether it gave the lock back; its job may still be in Slurm's queue."""

    @classmethod
    def myself(cls) -> Owner:
        """This process."""
        return cls(os.getpid(), socket.gethostname(), os.environ.get("SLURM_JOB_ID"))

    def __str__(self) -> str:
        if self.process is None:
            return "an unknown process"
        job = f", Slurm job {self.slurm_job}" if self.slurm_job else ""
        return f"process {self.process} on {self.host}{job}"

    @property
    def advice(self) -> str:
        """How to stop it."""
        return f"scancel {self.slurm_job}" if self.slurm_job else f"kill {self.process} on {self.host}"


class InUseError(TitokError):
    """Somebody else works there."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(str(owner))
        self.owner = owner


def take(path: Path) -> int:
    """Takes the lock file, made if need be, for this process; returns its descriptor, for ``give_back``.

    Raises:
        InUseError: somebody else has it.
        OSError: the file cannot be written.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    _write(descriptor, Owner.myself())
    return descriptor


def give_back(descriptor: int) -> None:
    """Opens the lock, and notes that this was on purpose."""
    _write(descriptor, Owner.myself()._replace(has_left=True))
    os.close(descriptor)


def owner_of(path: Path) -> Owner | None:
    """Who holds a lock file; None if nobody does, as far as can be seen from this machine."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return None if _locked(descriptor, fcntl.LOCK_SH) else _read(descriptor)
    finally:
        os.close(descriptor)


def last_owner(path: Path) -> Owner | None:
    """Who had the lock and did not give it back, whether or not it is held; None if there is nobody like that."""
    try:
        found = _parsed(path.read_bytes())
    except OSError:
        return None
    return found if found.process is not None and not found.has_left else None


def _acquire(descriptor: int, path: Path) -> None:
    deadline, cancelled = time.monotonic() + GLANCE_SECONDS, False
    while not _free(descriptor):
        owner = _read(descriptor)
        if not cancelled and _is_orphan(owner):
            print(
                f"{path.parent} is in use by {owner}, left over from another Snakemake with this very job: cancelling "
                f"it; this job goes on from what it saves, once it has left the queue",
                file=sys.stderr,
                flush=True,
            )
            subprocess.run(["scancel", str(owner.slurm_job)], check=False)
            deadline, cancelled = time.monotonic() + FAREWELL_SECONDS, True
        if time.monotonic() > deadline:
            raise InUseError(owner)
        time.sleep(QUEUE_SECONDS if cancelled else 0.1)


def _free(descriptor: int) -> bool:
    """Takes the lock if nobody has it and nobody's Snakemake is still at work where it was.

    Slurm is asked, too, because on some file systems locks do not reach other machines.
    """
    if not _locked(descriptor, fcntl.LOCK_EX):
        return False
    before = _read(descriptor)
    may_hold_it = before.host != socket.gethostname() and not before.has_left
    if not _runs(before) or not (may_hold_it or _is_orphan(before)):
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _runs(owner: Owner) -> bool:
    own = os.environ.get("SLURM_JOB_ID")
    return owner.slurm_job not in (None, own) and bool(_squeue(str(owner.slurm_job), "%T"))


def _is_orphan(owner: Owner) -> bool:
    """Whether the owner is another Slurm job of the same user for the same rule and wildcards as this one."""
    own = os.environ.get("SLURM_JOB_ID")
    if own is None or owner.slurm_job in (None, own):
        return False
    ours, theirs = (_squeue(job, "%u %k") for job in (own, str(owner.slurm_job)))
    return ours == theirs and " rule_" in ours


def _squeue(job: str, what: str) -> str:
    """One line about a job that has not ended; empty for all others, and where there is no Slurm."""
    if shutil.which("squeue") is None:
        return ""
    done = subprocess.run(["squeue", "-h", "-j", job, "-o", what], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _write(descriptor: int, owner: Owner) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(owner._asdict()).encode(), 0)


def _read(descriptor: int) -> Owner:
    return _parsed(os.pread(descriptor, 1000, 0))


def _parsed(text: bytes) -> Owner:
    try:
        return Owner(**json.loads(text))
    except (ValueError, TypeError):
        return Owner()
