"""Every verb has an example that the command line takes, every option says what it is; docs/commands.md has them all.

Run: pytest tests/commands/test_examples.py
"""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from titok.cli import build_parser
from titok.commands.examples import EXAMPLES, verbs_of
from titok.commands.verb_pages import commands_markdown

COMMANDS = Path(__file__).parents[2] / "docs" / "commands.md"
VERBS = dict(verbs_of(build_parser()))


def commands_of(text: str) -> list[list[str]]:
    """The words of every `titok ...` line, joined where it goes on; what stands for something left out is no word."""
    joined = re.sub(r"\\\n\s*", "", text).removeprefix("example: ")
    lines = [line.strip() for line in joined.splitlines() if line.strip().startswith("titok ")]
    commands = [re.split(r" {3,}", line)[0] for line in lines]
    plain = [re.sub(r"\$\([^)]*\)", "found.json", re.sub(r" > .*", "", command)) for command in commands]
    return [shlex.split(command)[1:] for command in plain if " ..." not in command]


def test_every_entry_is_of_a_verb() -> None:
    assert set(EXAMPLES) <= set(VERBS)


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_every_verb_has_an_example(path: tuple[str, ...]) -> None:
    verb = VERBS[path]
    if verb.get_default("run") is None:
        return  # Its own verbs have them.
    assert verb.epilog is not None
    assert verb.epilog.startswith("example")
    assert f"titok {' '.join(path)}" in " ".join(verb.format_help().split())


@pytest.mark.parametrize("path", EXAMPLES, ids=" ".join)
def test_examples_are_taken_by_the_command_line(path: tuple[str, ...]) -> None:
    found = commands_of(VERBS[path].epilog or "")
    assert len(found) == (VERBS[path].epilog or "").count("\n  titok ")
    for words in found:
        build_parser().parse_args(words)


def test_an_example_with_a_slip_is_noticed() -> None:
    assert commands_of("examples:\n  titok check a.yaml       a word on it\n  titok launch ... x") == [
        ["check", "a.yaml"]
    ]
    with pytest.raises(SystemExit):
        build_parser().parse_args(["table", "table3b", "--study", "s.yaml", "--out", "t", "--scorse", "x"])


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_every_option_says_what_it_is(path: tuple[str, ...]) -> None:
    hidden = {"==SUPPRESS=="}
    silent = [action.dest for action in VERBS[path]._actions if not action.help and action.dest not in hidden]
    assert silent == []


def test_texts_are_plain_in_markdown() -> None:
    parser = argparse.ArgumentParser(prog="titok")
    verb = parser.add_subparsers().add_parser("look", help="at <things> with --care, as `a --b` does")
    verb.add_argument("--care", choices=("a", "b"), help="[x] | *y*", required=True)
    assert commands_markdown(parser) == (
        "## titok look\n\nAt \\<things> with `--care`, as `a --b` does.\n\n"
        "| option | what |\n| --- | --- |\n| `--care {a,b}` (required) | \\[x] \\| \\*y\\* |\n"
    )


def test_the_documentation_has_every_verb_and_option() -> None:
    page = COMMANDS.read_text(encoding="utf-8")
    assert commands_markdown(build_parser()) in page
    for path, verb in VERBS.items():
        section = page.split(f"# titok {' '.join(path)}\n")[1].split("\n## ")[0]
        for action in verb._actions:
            assert all(f"`{option}" in section or f", {option}" in section for option in action.option_strings[:1]) or (
                "-h" in action.option_strings
            ), (path, action.option_strings)
