"""Numbers over time: JSON lines that scripts read, TensorBoard for who likes curves, and a log that keeps nothing."""

from __future__ import annotations

import json
import math
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

TENSORBOARD_SECONDS = 60.0
"""Shorter runs have no event files: importing what writes them takes half a second."""


class MetricsLog(Protocol):
    """Where the numbers of a run go."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One line: ``step`` updates are finished."""

    def close(self) -> None:
        """No more lines."""


class NullLog:
    """Takes everything, keeps nothing: stands in where no log is wanted, so that no caller has to ask."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


class JsonLinesLog:
    """``metrics.jsonl``: one JSON object per line, appended; ``position`` is where the next line begins.

    A resumed run cuts the file at the position its checkpoint remembers: lines written after the checkpoint are
    written again by the steps that are done again.
    """

    def __init__(self, path: Path, position: int = 0) -> None:
        self.path = path
        size = path.stat().st_size if path.exists() else 0
        if size < position:
            warnings.warn(
                f"{path} has {size:,} bytes, the checkpoint knew {position:,}: lines have been lost; the log goes on "
                f"from here",
                stacklevel=2,
            )
        if size > position:
            os.truncate(path, position)
        self._stream = path.open("ab")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Appends one line, readable by others when this returns; JSON has no infinities, so they become null."""
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self._stream.write(json.dumps({"step": step, **finite}).encode() + b"\n")
        self._stream.flush()

    def position(self) -> int:
        """Bytes written so far, all of them safely on the disk."""
        os.fsync(self._stream.fileno())
        return self._stream.tell()

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()


class TensorBoardLog:
    """Event files for TensorBoard; imported late because that alone takes half a second."""

    def __init__(self, directory: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(log_dir=str(directory), purge_step=step)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One point on each curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Closes the event file."""
        self._writer.close()


class LateTensorBoardLog:
    """Event files for runs that last: begun after ``delay`` seconds, with all that the run's own log has by then."""

    def __init__(self, directory: Path, lines: Path, *, delay: float = TENSORBOARD_SECONDS) -> None:
        self._directory = directory
        self._lines = lines
        self._begin_at = time.monotonic() + delay
        self._log: TensorBoardLog | None = None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One point on each curve, once there are curves; ``lines`` must have this line already."""
        if self._log is not None:
            self._log.write(step, values)
        elif time.monotonic() >= self._begin_at:
            self._log = TensorBoardLog(self._directory, 0)  # replaces what earlier sessions wrote
            for line in map(json.loads, self._lines.read_text(encoding="utf-8").splitlines()):
                step = line.pop("step")
                self._log.write(step, {name: math.nan if value is None else value for name, value in line.items()})

    def close(self) -> None:
        """Closes the event file, if there is one."""
        if self._log is not None:
            self._log.close()


class Tee:
    """Several logs as one."""

    def __init__(self, *logs: MetricsLog) -> None:
        self._logs = logs

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Writes to all."""
        for log in self._logs:
            log.write(step, values)

    def close(self) -> None:
        """Closes all."""
        for log in self._logs:
            log.close()
