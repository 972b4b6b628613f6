"""How far a long step is: a live bar on a terminal, a rare plain line in a log file."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TextIO, cast

LOG_INTERVAL = 10.0
"""Seconds between two lines when nobody watches."""


class Progress(Protocol):
    """What callers may use of either form; a context manager that closes itself."""

    def update(self, n: int = 1) -> Any:
        """``n`` more steps are done."""

    def set_postfix(self, values: Mapping[str, float | str], refresh: bool = False) -> Any:
        """Values to show beside the count from now on, such as the loss."""

    def close(self) -> Any: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: Any) -> Any: ...


def progress(
    total: int, initial: int = 0, desc: str = "", unit: str = "step", *, hidden: bool = False
) -> contextlib.AbstractContextManager[Progress]:
    """Progress of ``total`` steps of which ``initial`` were done by an earlier, interrupted run.

    ``hidden``: shown nowhere, for all but one of several processes.
    """
    if hidden:
        return contextlib.nullcontext(LineProgress(total, initial, desc, unit, interval=float("inf")))
    if sys.stderr.isatty():
        from tqdm import tqdm

        return cast(Progress, tqdm(total=total, initial=initial, desc=desc, unit=unit, dynamic_ncols=True))
    return LineProgress(total, initial, desc, unit)


class LineProgress:
    """One line at most every ``interval`` seconds and one at the end: log files stay small and readable."""

    def __init__(
        self,
        total: int,
        initial: int = 0,
        desc: str = "",
        unit: str = "step",
        *,
        interval: float = LOG_INTERVAL,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total
        self.count = initial
        self._initial = initial
        self._desc = desc
        self._unit = unit
        self._interval = interval
        self._stream = stream
        self._clock = clock
        self._start = self._last_line = clock()
        self._last_count: int | None = None
        self._values: dict[str, float | str] = {}

    def update(self, n: int = 1) -> None:
        self.count += n
        if self._clock() - self._last_line >= self._interval:
            self._write_line()

    def set_postfix(self, values: Mapping[str, float | str], refresh: bool = False) -> None:
        self._values = dict(values)
        if refresh:
            self._write_line()

    def close(self) -> None:
        """Writes the last count unless a line has just told it."""
        if self._last_count != self.count:
            self._write_line()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _write_line(self) -> None:
        now = self._clock()
        self._last_line, self._last_count = now, self.count
        elapsed = now - self._start
        done_here = self.count - self._initial
        rate = done_here / elapsed if elapsed > 0 else 0.0
        remaining = _clock_time((self.total - self.count) / rate) if rate > 0 else "?"
        parts = [
            f"{self.count}/{self.total} ({100 * self.count / max(self.total, 1):.0f} %)",
            f"{rate:.3g} {self._unit}/s",
            f"{_clock_time(elapsed)} elapsed",
            f"{remaining} left",
            *(
                f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                for name, value in self._values.items()
            ),
        ]
        prefix = f"{self._desc}: " if self._desc else ""
        print(prefix + ", ".join(parts), file=self._stream or sys.stderr, flush=True)


def _clock_time(seconds: float) -> str:
    """``h:mm:ss``."""
    whole = round(max(seconds, 0))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
