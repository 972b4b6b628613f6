"""Ctrl-C, termination and batch systems: one signal asks, a second Ctrl-C insists."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from titok.runtime.signals import STOPPING, Interrupted, StopSignals


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_only_asks(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopSignals() as signals:
        assert signals.received is None
        os.kill(os.getpid(), number)
        assert signals.received == number
        if number != signal.SIGINT:
            os.kill(os.getpid(), number)  # batch systems repeat themselves
    assert signal.getsignal(number) == before


def test_a_second_interrupt_leaves_at_once() -> None:
    with StopSignals():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted) as caught:
            os.kill(os.getpid(), signal.SIGINT)
    assert caught.value.code == 130


def test_what_is_ignored_stays_ignored() -> None:
    """`nohup`: the terminal may go."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.received is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_exit_status_is_the_shell_convention() -> None:
    assert [Interrupted(number).code for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)] == [130, 143, 138]


def test_other_threads_are_left_alone() -> None:
    seen: list[int | None] = []

    def work() -> None:
        with StopSignals() as signals:
            seen.append(signals.received)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]
