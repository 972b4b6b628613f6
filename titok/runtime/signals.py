"""Stopping politely: finish the step, save, say how to go on, leave with the status shells expect."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, Self

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
"""Ctrl-C, the end of a job, batch systems before a time limit, and a terminal that is closed."""


class Interrupted(SystemExit):
    """The run was asked to stop and has saved; the exit status is 128 + the signal's number, as in a shell."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


def heeded() -> tuple[signal.Signals, ...]:
    """What of ``STOPPING`` stops this process and those it starts; ``nohup`` leaves the closing of a terminal out."""
    is_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return tuple(number for number in STOPPING if number != signal.SIGHUP or not is_ignored)


class StopSignals:
    """Inside the block the signals of ``STOPPING`` only set ``received``.

    A second Ctrl-C does not wait: it leaves at once, also in the middle of saving, which atomic files survive. What is
    ignored (``nohup``) stays ignored.
    In other threads than the main one Python allows no handlers, and nothing is caught.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in heeded()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise Interrupted(number)
        if self.received is None:
            self.received = number
            name = signal.Signals(number).name
            print(f"{name}: finishing this step, then saving (Ctrl-C again leaves at once)", file=sys.stderr)
