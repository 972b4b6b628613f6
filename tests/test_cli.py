"""The command line: help for every verb, friendly errors for people, tracebacks for bugs.

Run: pytest tests/test_cli.py
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys

import pytest

import titok
from titok import cli
from titok.config.load import ConfigError


def verbs(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every verb, with its sub-verbs."""
    found = [words]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                found += verbs(child, (*words, name))
    return found


EVERY_VERB = verbs(cli.build_parser())


def test_every_verb_of_the_workflow_is_there() -> None:
    names = {words[0] for words in EVERY_VERB if words}
    wanted = "check resolve schema prepare tokens train sample score table figure checks report verdict"
    assert names >= set(wanted.split())
    assert {words[1] for words in EVERY_VERB if words[0:1] == ("score",) and words[1:]} == {
        "reconstruction",
        "codec",
        "costs",
        "external",
        "floor",
        "probe",
        "quantized",
        "generation",
        "lengths",
        "throughput",
    }


@pytest.mark.parametrize("words", EVERY_VERB, ids=lambda words: " ".join(words) or "titok")
def test_every_verb_explains_itself(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([*words, "--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: {' '.join(('titok', *words))}")


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"titok {titok.__version__}\n"


@pytest.mark.parametrize(
    "line", [[], ["paint"], ["train"], ["train", "stage3"], ["score", "reconstruction", "--subject", "{not json"]]
)
def test_wrong_usage_ends_with_status_2(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(line)
    assert caught.value.code == 2
    assert "usage: titok" in capsys.readouterr().err


def raising(error: BaseException) -> argparse.ArgumentParser:
    """A command line whose only verb fails."""
    parser = argparse.ArgumentParser()

    def run(options: argparse.Namespace) -> None:
        raise error

    parser.set_defaults(run=run)
    return parser


def test_our_own_errors_are_plain_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ConfigError("k: found 9, allowed: 1 to 8; lower it")
    error.add_note("A note of where to look")
    monkeypatch.setattr(cli, "build_parser", lambda: raising(error))
    with pytest.raises(SystemExit) as caught:
        cli.main([])
    assert caught.value.code == "titok: ConfigError: k: found 9, allowed: 1 to 8; lower it\nA note of where to look"


def test_bugs_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "build_parser", lambda: raising(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        cli.main([])


def test_python_m_titok_prints_the_message_and_exits_with_1() -> None:
    command = [sys.executable, "-m", "titok", "check", "nowhere.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("titok: ConfigError: nowhere.yaml: no such file")
    assert "Traceback" not in done.stderr


def test_a_reader_that_stops_reading_is_no_mistake() -> None:
    shell = ["bash", "-c", f"{shlex.join([sys.executable, '-m', 'titok', 'schema'])} | head -1"]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=120)
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize("verb", ["schema", "claims"])
def test_a_reader_that_reads_nothing_is_no_mistake(verb: str) -> None:
    """Whether `head` is gone before the last line is a race; this reader is gone before the first."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "titok", verb]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(writer)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_ctrl_c_ends_without_a_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "build_parser", lambda: raising(KeyboardInterrupt()))
    with pytest.raises(SystemExit) as caught:
        cli.main([])
    assert caught.value.code == 130
    assert capsys.readouterr().err == "titok: stopped by Ctrl-C\n"


def test_a_pipe_that_breaks_elsewhere_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "build_parser", lambda: raising(BrokenPipeError("a worker is gone")))
    with pytest.raises(BrokenPipeError, match="a worker is gone"):
        cli.main([])
