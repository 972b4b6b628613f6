"""GPUs of this machine, and a way for jobs of one user to take some for themselves; without torch.

A GPU is taken by locking a file named after it, and the lock falls open when the process ends, however it ends. Jobs of
the same Snakemake, of another one, or started by hand thus never share a GPU by accident.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from titok.errors import MachineError
from titok.runtime.nvidia_smi import ask

VISIBLE = "CUDA_VISIBLE_DEVICES"
PATIENCE = 1.0
"""Seconds between two looks for free GPUs."""
NAMES = (re.compile(r"\d+"), re.compile(r"GPU-[\w-]+"), re.compile(r"MIG-[\w/-]+"))
"""What a GPU can be called; one list has names of one kind."""


def visible_gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Names of the GPUs that processes started from here may use: numbers or UUIDs, as in CUDA_VISIBLE_DEVICES."""
    if VISIBLE in environment:
        return _named(environment[VISIBLE])
    # UUIDs, for nvidia-smi and CUDA number the GPUs of a mixed machine differently.
    found = ask("uuid")
    if found.trouble:
        print(f"no GPU is used: {found.trouble}", file=sys.stderr)
    return [name for name in found.lines if NAMES[1].fullmatch(name)]


def _named(value: str) -> list[str]:
    """Names in CUDA_VISIBLE_DEVICES as CUDA reads it: up to the first word that is no GPU, none if one is repeated.

    Slurm says ``NoDevFiles`` to jobs without GPUs, people say ``-1``, containers ``void`` or ``none``.
    """
    words = [word.strip() for word in value.split(",")]
    kind = next((kind for kind in NAMES if kind.fullmatch(words[0])), None)
    if kind is None:
        return []
    names = list(itertools.takewhile(kind.fullmatch, words))
    return names if len(set(names)) == len(names) else []


def some_gpus(wanted: int, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The first ``wanted`` visible GPUs, for who has them all to himself, as a Slurm job has.

    Raises:
        MachineError: there are fewer.
    """
    return _enough(wanted, environment)[:wanted]


def take_gpus(
    wanted: int,
    environment: Mapping[str, str] = os.environ,
    *,
    folder: Path | None = None,
    wait: Callable[[float], object] = time.sleep,
) -> list[str]:
    """Takes ``wanted`` visible GPUs until this process ends, `exec` included; waits while others have too many.

    All or none are taken, so that two who wait never hold what the other needs. ``folder``: where the locks are, by
    default one for each user and Slurm job, whose GPUs nobody else sees.

    Raises:
        MachineError: the machine has fewer.
    """
    names = _enough(wanted, environment)
    folder = folder or _lock_folder(environment)
    folder.mkdir(parents=True, exist_ok=True)
    is_told = False
    while True:
        taken = _take_free(names, wanted, folder)
        if taken is not None:
            return taken
        if not is_told:
            print(f"waiting for {wanted} of the GPUs {', '.join(names)}: other jobs have them", file=sys.stderr)
            is_told = True
        wait(PATIENCE)


def _enough(wanted: int, environment: Mapping[str, str]) -> list[str]:
    names = visible_gpus(environment) if wanted else []
    if wanted > len(names):
        said = f"{VISIBLE} is {environment[VISIBLE]!r}" if VISIBLE in environment else f"{VISIBLE} is not set"
        raise MachineError(
            f"{wanted} GPUs wanted, but {len(names)} are visible here ({', '.join(names) or 'none'}; {said}); ask for "
            f"fewer (resources in the study), or check {VISIBLE} and nvidia-smi"
        )
    return names


def _take_free(names: list[str], wanted: int, folder: Path) -> list[str] | None:
    taken: dict[str, int] = {}
    for name in names:
        if len(taken) == wanted:
            break
        descriptor = os.open(folder / f"{re.sub(r'[^A-Za-z0-9-]', '_', name)}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            taken[name] = descriptor
    if len(taken) < wanted:
        for descriptor in taken.values():
            os.close(descriptor)
        return None
    for descriptor in taken.values():
        os.set_inheritable(descriptor, True)  # the lock outlives `exec`
    return list(taken)


def _lock_folder(environment: Mapping[str, str]) -> Path:
    job = environment.get("SLURM_JOB_ID")
    return Path(tempfile.gettempdir()) / f"titok-gpus-{os.getuid()}{f'-{job}' if job else ''}"
