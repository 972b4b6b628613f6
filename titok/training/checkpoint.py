"""The state directory of a run: from here it goes on after a crash, Ctrl-C, a time limit or a requeue.

    owner.lock          held by the one process that trains here, and names it
    run.json            settings and seed of the run that owns the directory
    step-00001234.pt    everything at that step (one ``torch.save`` file), and its SHA-256 beside it
    metrics.jsonl       the log so far

It lies outside the outputs that a workflow declares, because workflows delete those before and after failures.
"""

from __future__ import annotations

import functools
import hashlib
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import torch

from titok.errors import TitokError
from titok.runtime.files import atomic_path, read_json, sha256_file, write_json, write_text
from titok.runtime.ownership import InUseError, give_back, take
from titok.runtime.processes import from_first
from titok.runtime.sums import sha256_json
from titok.training.background import Background, copied_to_host

_MISSING = "nothing"


class CheckpointError(TitokError):
    """No checkpoint can be read, or the directory is in use."""


class DamagedCheckpointWarning(UserWarning):
    """A checkpoint was cut short or altered; an older one is used."""


class StateDirectory:
    """Owns a run's state directory while the block lasts.

    ``identity`` is plain data that names the run (settings, seed). A directory of another run is refused with the
    differing keys and left as it is. ``keep`` newest checkpoints stay, and those of every ``milestone_steps`` steps;
    ``seconds`` is the time between two. With ``background``, training goes on while a copy of the state is written. Of
    several processes that train together, one is the ``owner``: it alone locks and writes, and the others load what it
    says.

    Raises:
        CheckpointError: another process trains in the directory, or it cannot be written.
        CheckpointError: the directory belongs to other settings.
    """

    def __init__(
        self,
        path: str | Path,
        identity: Mapping[str, Any],
        *,
        keep: int = 2,
        seconds: float = 300.0,
        milestone_steps: int | None = None,
        background: bool = False,
        owner: bool = True,
    ) -> None:
        self.path = Path(path)
        self.identity = dict(identity)
        self._keep = keep
        self._seconds = seconds
        self._milestone_steps = milestone_steps
        self._background = Background() if background else None
        self._owner = owner
        self._last_save = time.monotonic()
        self._lock: int | None = None

    def __enter__(self) -> Self:
        if not self._owner:
            return self
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = take(self.path / "owner.lock")
        except InUseError as error:
            raise CheckpointError(
                f"{self.path} is in use by another training ({error.owner}); wait for it or stop it "
                f"({error.owner.advice}), then try again"
            ) from error
        except OSError as error:
            raise CheckpointError(
                f"{self.path} cannot be written ({error.strerror}); checkpoints and the log go there: make it writable "
                f"or choose another place"
            ) from error
        try:
            self._claim()
        except BaseException:
            self._release()
            raise
        self._last_save = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            # Not for somebody in a hurry: a second Ctrl-C leaves at once, and half a file has no name.
            if self._background is not None and (kind is None or issubclass(kind, Exception)):
                self.finish()
        finally:
            self._release()

    def finish(self) -> None:
        """Returns when the last checkpoint is on the disk; raises what kept it from getting there."""
        if self._background is not None:
            self._background.wait()

    @property
    def metrics_path(self) -> Path:
        """The log of the run so far."""
        return self.path / "metrics.jsonl"

    def checkpoints(self) -> list[Path]:
        """Checkpoints, the newest first."""
        return sorted(self.path.glob("step-*.pt"), reverse=True)

    def is_due(self) -> bool:
        """Whether it is time for another checkpoint; says so once, for processes agree on it a step later.

        Never where another process writes: its clock counts.
        """
        now = time.monotonic()
        if not self._owner or now - self._last_save < self._seconds:
            return False
        self._last_save = now
        return True

    def is_milestone(self, step: int) -> bool:
        """Whether the checkpoint of ``step`` is one that stays."""
        return self._milestone_steps is not None and step % self._milestone_steps == 0

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Writes the checkpoint of ``step`` whole or not at all, then drops the oldest beyond ``keep``."""
        if not self._owner:
            return
        content = {**state, "step": step, "identity_sha256": sha256_json(self.identity)}
        if self._background is None:
            self._write_checkpoint(step, content)
        else:
            self._background.wait()  # before another copy takes memory
            self._background.start(functools.partial(self._write_checkpoint, step, copied_to_host(content)))
        self._last_save = time.monotonic()

    def _write_checkpoint(self, step: int, content: dict[str, Any]) -> None:
        """The checksum is written first: a checkpoint without one cannot come to be."""
        path = self._checkpoint(step)
        with atomic_path(path) as temporary:
            write_text(_sum_path(path), _write(temporary, content) + "\n")
        passing = [path for path in self.checkpoints() if not self.is_milestone(_step_of(path))]
        for old in passing[self._keep :]:
            old.unlink()
            _sum_path(old).unlink(missing_ok=True)

    def load(self) -> dict[str, Any] | None:
        """The newest readable checkpoint, None if there never was one; its tensors are the file's pages: copy them.

        A damaged one is renamed to ``*.damaged``, with a warning, and the one before is taken.

        Raises:
            CheckpointError: there are checkpoints, but none can be read.
        """
        state = self._newest() if self._owner else None
        step = from_first(None if state is None else state["step"])
        return state if self._owner or step is None else _read(self._checkpoint(step))

    def _checkpoint(self, step: int) -> Path:
        return self.path / f"step-{step:08d}.pt"

    def _newest(self) -> dict[str, Any] | None:
        found = self.checkpoints()
        for path in found:
            try:
                _compare_sum(path)
            except DamageError as error:
                path.rename(path.with_suffix(".damaged"))
                warnings.warn(
                    f"checkpoint {path} is damaged ({error}); it is now called {path.stem}.damaged and the one before "
                    f"it is used",
                    DamagedCheckpointWarning,
                    stacklevel=2,
                )
            except OSError as error:  # a disk that does not answer is no damage
                raise CheckpointError(
                    f"checkpoint {path} cannot be read now ({error}); nothing was changed, try again later"
                ) from error
            else:
                return _read(path)
        if found or any(self.path.glob("step-*.damaged")):
            raise CheckpointError(
                f"none of the checkpoints in {self.path} is what was written (they are called *.damaged now); put back "
                f"copies of them, or delete the directory to start from scratch"
            )
        return None

    def keep_batch(self, step: int, rank: int, batch: Mapping[str, torch.Tensor]) -> Path:
        """Stores a process's part of the batch of a step that went wrong, for inspection with ``torch.load``."""
        path = self.path / f"batch-of-step-{step:08d}-rank{rank}.pt"
        with atomic_path(path) as temporary:
            _write(temporary, dict(batch))
        return path

    def _claim(self) -> None:
        """Writes the identity of a new directory, compares that of an old one."""
        path = self.path / "run.json"
        if not path.exists():
            write_json(path, self.identity)
            return
        there = dict(_leaves(read_json(path)))
        here = dict(_leaves(self.identity))
        differing = [
            f"{key} is {there.get(key, _MISSING)!r} there and {here.get(key, _MISSING)!r} now"
            for key in sorted(there.keys() | here.keys())
            if there.get(key, _MISSING) != here.get(key, _MISSING)
        ]
        if differing:
            raise CheckpointError(
                f"{self.path} holds the state of a run with other settings: {'; '.join(differing)}. Nothing was "
                f"changed. Restore those settings to continue that run, or delete the directory to start anew"
            )

    def _release(self) -> None:
        if self._lock is not None:
            give_back(self._lock)
            self._lock = None


class _Hashed:
    """A file that is written from its beginning to its end, and the SHA-256 of what went into it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def write(self, data: Any) -> int:
        self._hash.update(data)
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _write(path: Path, content: dict[str, Any]) -> str:
    """`torch.save` through a Python file, whose errors say that the disk is full; torch's own writer does not.

    Returns the SHA-256 of the file, which is not read again for it.
    """
    with path.open("wb") as stream:
        hashed = _Hashed(stream)
        torch.save(content, hashed)  # type: ignore[arg-type]
        return hashed.hexdigest()


class DamageError(TitokError):
    """A checkpoint that is not what was written."""


def _compare_sum(path: Path) -> None:
    """Raises ``DamageError`` unless the bytes are those that were written."""
    try:
        wanted = _sum_path(path).read_text().strip()
    except FileNotFoundError:
        raise DamageError("its SHA-256 was never written") from None
    found = sha256_file(path)
    if found != wanted:
        raise DamageError(f"its SHA-256 is {found[:12]}, expected {wanted[:12]}")


def _read(path: Path) -> dict[str, Any]:
    """Mapped, not read: the processes of a machine share its pages, and what goes to a GPU goes there from them."""
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _step_of(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _sum_path(path: Path) -> Path:
    return path.with_suffix(".pt.sha256")


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of nested plain data; lists are values."""
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, tree
