"""A copy of a split on a disk of this machine, where the shared file system is too slow for random reads.

The same bytes under the same names: order, batches and results are those of the original. The folder is named by the
sum of the index, so that other data is never taken for it. The processes of a machine copy once, one of them while the
others wait; what is there already is used again, by later tries and other trainings, too. Nothing is deleted but what a
killed copy left: places that Slurm makes for a job end with it, others are their owner's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from titok.data.shard_index import STAGED, index_path, read_index, split_of
from titok.errors import MachineError
from titok.runtime.files import FileError, atomic_path, sha256_file

_SPARE_BYTES = 2**30
"""What a copy leaves free, for whoever else writes there."""


def staged(index: Path, place: str) -> Path:
    """The index of the copy of a split below the folder ``place``, made unless it is there.

    ``place`` may name variables of the environment, which each machine fills in for itself: ``$TMPDIR``.

    Raises:
        MachineError: a variable is not set, or there is no room.
        FileError, ShardError: the place cannot be written, the original not be read.
    """
    folder = local_folder(place) / f"{STAGED}{os.getuid()}-{sha256_file(index)[:16]}"
    copy = index_path(folder, split_of(index)[1])
    with _alone(folder):
        about = read_index(*split_of(index)).about
        missing = [shard for shard in about["shards"] if not _is_there(folder, shard)]
        if missing or not copy.exists():
            _copy(index, copy, missing)
        else:
            _say(f"uses the copy of {index} in {folder}")
    return copy


def local_folder(place: str) -> Path:
    """``place`` on this machine: an absolute folder, its variables filled in."""
    path = os.path.expanduser(os.path.expandvars(place))
    if "$" in path or not os.path.isabs(path):
        why = "has a variable that is not set" if "$" in path else "is no absolute path"
        raise MachineError(
            f"stage_to is {place!r}, which {why} on {socket.gethostname()}; name a folder of a disk in the machine, "
            f"such as /local/scratch or $TMPDIR"
        )
    return Path(path)


def _copy(index: Path, copy: Path, shards: list[Mapping[str, Any]]) -> None:
    """The shards that are missing, then the index: without it the copy is unfinished."""
    folder, wanted, started = copy.parent, sum(shard["bytes"] for shard in shards), time.monotonic()
    for left in folder.glob(".*.partial*"):  # of a copy that was killed, for nobody else works here
        left.unlink(missing_ok=True)
    _require_room(index, folder, wanted)
    _say(f"copies {wanted / 1e9:.1f} GB of {index} to {folder}")
    for shard in shards:
        _copy_file(index.parent / shard["name"], folder / shard["name"])
    _copy_file(index, copy)
    read_index(*split_of(copy))  # a shard that changed meanwhile has another size; its images have sums
    _say(f"copied it in {time.monotonic() - started:.0f} s")


def _copy_file(source: Path, target: Path) -> None:
    with atomic_path(target, expected_bytes=source.stat().st_size) as temporary:
        shutil.copyfile(source, temporary)


def _is_there(folder: Path, shard: Mapping[str, Any]) -> bool:
    path = folder / shard["name"]
    return path.is_file() and path.stat().st_size == shard["bytes"]


def _require_room(index: Path, folder: Path, wanted: int) -> None:
    free = shutil.disk_usage(folder).free
    if wanted + _SPARE_BYTES > free:
        raise MachineError(
            f"stage_to: {wanted / 1e9:.1f} GB of {index} and {_SPARE_BYTES / 1e9:.1f} GB to spare do not fit into "
            f"{folder} on {socket.gethostname()}, where {free / 1e9:.1f} GB are free; make room, name another disk, or "
            f"train without stage_to"
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, which falls open with its process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FileError(
            f"stage_to: cannot write into {folder} on {socket.gethostname()} ({error.strerror}); name another folder"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _say(words: str) -> None:
    print(f"stage_to: {socket.gethostname()} {words}", file=sys.stderr, flush=True)
