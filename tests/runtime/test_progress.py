"""Progress in log files: few lines, right numbers."""

from __future__ import annotations

import io

import pytest

from titok.runtime import progress as module
from titok.runtime.progress import LineProgress, progress


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def run(total, seconds_per_step, initial=0, **settings):
    """All lines that a run of ``total`` steps writes."""
    clock, stream = Clock(), io.StringIO()
    with LineProgress(total, initial, stream=stream, clock=clock, **settings) as bar:
        for step in range(initial, total):
            clock.now += seconds_per_step
            bar.set_postfix({"loss": 1 / (step + 1), "phase": "warm-up"})
            bar.update()
    return stream.getvalue().splitlines()


def test_one_line_in_ten_seconds_and_one_at_the_end():
    lines = run(total=280, seconds_per_step=0.125, desc="train")
    assert lines[0].startswith(
        "train: 80/280 (29 %), 8 step/s, 0:00:10 elapsed, 0:00:25 left, loss 0.0125, phase warm-up"
    )
    assert [line.split()[1] for line in lines] == ["80/280", "160/280", "240/280", "280/280"]


def test_a_resumed_run_counts_its_own_rate():
    (line,) = run(total=1000, seconds_per_step=1, initial=995)
    assert line.startswith("1000/1000 (100 %), 1 step/s, 0:00:05 elapsed, 0:00:00 left")
    first = run(total=1000, seconds_per_step=10, initial=500)[0]
    assert "501/1000" in first
    assert "0.1 step/s" in first
    assert "1:23:10 left" in first


def test_the_last_line_is_not_repeated():
    assert len(run(total=2, seconds_per_step=10)) == 2


def test_errors_still_tell_how_far_it_came():
    stream = io.StringIO()

    def interrupted():
        with LineProgress(10, stream=stream) as bar:
            bar.update(3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stream.getvalue().startswith("3/10 (30 %)")


@pytest.mark.parametrize("total", [0, 5])
def test_nothing_done_is_no_problem(total):
    stream, clock = io.StringIO(), Clock()
    LineProgress(total, stream=stream, clock=clock).close()
    assert "? left" in stream.getvalue()


def test_a_log_file_gets_lines(capsys):
    with progress(3, desc="tokenize", unit="image") as bar:
        bar.update(3)
    assert capsys.readouterr().err.startswith("tokenize: 3/3 (100 %)")


def test_a_terminal_gets_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(module.sys, "stderr", terminal)
    with progress(4, initial=1, desc="train") as bar:
        bar.set_postfix({"loss": 0.5})
        bar.update(3)
    assert "train: 100%" in terminal.getvalue()
    assert "loss=0.5" in terminal.getvalue()
