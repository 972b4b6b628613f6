"""Options: what is given twice adds or is refused, and values have limits. No verb runs here.

Run: pytest tests/commands/test_option_types.py
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from titok.cli import build_parser
from titok.commands.extraction_verbs import VARIANTS
from titok.evaluation.mistakes import STEPS

PARSED = {
    "generate --generator g --output o --class 1 --class 2 3": ("classes", [1, 2, 3]),
    "doctor score x.npz --weights w --reference a.npz --reference b.npz": ("reference", [Path("a.npz"), Path("b.npz")]),
    "doctor score x.npz --weights w --steps size --steps rounding": ("steps", ["size", "rounding"]),
    "doctor score x.npz --weights w": ("steps", list(STEPS)),
    "table table1 --study s --output t.csv --scores a b --scores c": ("scores", [Path("a"), Path("b"), Path("c")]),
    "claims --scores a --scores b": ("scores", [Path("a"), Path("b")]),
    "doctor --image a --image b": ("image", [Path("a"), Path("b")]),
    "report --study s --output r.html --figures a --figures b": ("figures", [Path("a"), Path("b")]),
    "codes audit --config c --data d --vqgan v --output o.json --variants bf16 --variants alone": (
        "variants",
        ["bf16", "alone"],
    ),
    "codes audit --config c --data d --vqgan v --output o.json": ("variants", VARIANTS),
    "score codec --codec jpeg --quality 100 --config c --data d --output o.json": ("quality", 100),
    "plan --config c --utilisation 1": ("utilisation", 1.0),
}


@pytest.mark.parametrize("line", PARSED)
def test_lists_grow_when_they_are_named_again(line: str) -> None:
    name, value = PARSED[line]
    assert getattr(build_parser().parse_args(line.split()), name) == value


REFUSED = {
    "generate --generator g --generator h --output o --class 1": "argument --generator: is given twice (g and h)",
    "tokenize a.png --model m --output a.json --output b.json": "argument --output: is given twice (a.json and b.json)",
    "train generator --config c --output model.safetensors --state s --seed 0 --seed 0": "--seed: is given twice",
    "doctor score x.npz --weights w --my-number nan": "is nan; allowed: finite numbers",
    "doctor score x.npz --weights w --my-number inf": "is inf; allowed: finite numbers",
    "doctor score x.npz --weights w --batch-size 0": "is 0; allowed: 1 or more",
    "doctor score x.npz --weights w --batch-size -3": "is -3; allowed: 1 or more",
    "doctor score x.npz --weights w --workers -1": "is -1; allowed: 0 or more",
    "parity --data d --output o --images 0": "is 0; allowed: 1 or more",
    "parity --data d --output o.json --crop 2.5": "is 2.5, which is no whole number; allowed: 1 or more",
    "score codec --codec jpeg --quality 101 --config c --data d --output o": "is 101; allowed: 1 to 100",
    "score codec --codec jpeg --quality 0 --config c --data d --output o": "is 0; allowed: 1 to 100",
    "generate --generator g --output o --class -1": "is -1; allowed: 0 or more",
    "prepare --config c --output o --jobs 0": "is 0; allowed: 1 or more",
    "launch --gpus -1 train stage1": "is -1; allowed: 0 or more",
    "launch --nodes 0 train stage1": "is 0; allowed: 1 or more",
    "launch --cpus 0 train stage1": "is 0; allowed: 1 or more",
    "plan --config c --budget 0": "is 0; allowed: finite numbers above 0",
    "plan --config c --utilisation 1.5": "is 1.5; allowed: finite numbers above 0 to 1",
    "train vqgan --config c --output model.safetensors --state s --seed 0 --process-timeout 0": "numbers above 0",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_meant_ends_before_any_work(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(line.split())
    assert caught.value.code == 2
    assert REFUSED[line] in capsys.readouterr().err


SUBJECTS = {
    '{"vqgan": "x"}': "lacks tokenizer, seed",
    '{"tokenizer": "x"}': "lacks seed",
    '{"tokenizer": "x", "seed": "0"}': "has seed '0', which is no whole number",
    '{"tokenizer": "x", "seed": true}': "has seed True, which is no whole number",
    '{"tokenizer": "", "seed": 0}': "has tokenizer '', which is no name",
    '["tokenizer"]': "is no JSON object",
    "tokenizer": "is no JSON",
}


@pytest.mark.parametrize("kind", ["reconstruction --data d --model m", "probe --train t --test t --model m --state s"])
@pytest.mark.parametrize("text", SUBJECTS)
def test_a_subject_is_checked_before_the_pass(kind: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["score", *kind.split(), "--config", "c", "--output", "o.json", "--subject", text]
    with pytest.raises(SystemExit):
        build_parser().parse_args(line)
    shown = capsys.readouterr().err
    assert SUBJECTS[text] in shown
    assert """'{"tokenizer": "NAME", "seed": 0}'""" in shown


def test_a_right_subject_is_kept_with_all_that_it_says() -> None:
    text = '{"generator": "g", "sampler": "s", "seed": 3, "mine": [1]}'
    line = ["score", "generation", "--config", "c", "--output", "o.json", "--samples", "s.npz", "--subject", text]
    options = build_parser().parse_args([*line, "--training", "m.json"])
    assert options.subject == {"generator": "g", "sampler": "s", "seed": 3, "mine": [1]}


@pytest.mark.parametrize(
    ("text", "words"), [("[1]", "is no JSON object"), ("nonsense", "is no JSON"), ("3", "no JSON object")]
)
def test_execution_is_an_object(text: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["score", "codec", "--codec", "jpeg", "--quality", "9", "--config", "c", "--output", "o.json", "--data", "d"]
    with pytest.raises(SystemExit):
        build_parser().parse_args([*line, "--execution", text])
    assert words in capsys.readouterr().err
    assert build_parser().parse_args([*line, "--execution", '{"a": 1}']).execution == {"a": 1}


def test_no_option_of_any_verb_takes_a_bare_number() -> None:
    """`int` and `float` know no limits; seeds are any whole number."""

    def options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
        found = []
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                found += [inner for child in action.choices.values() for inner in options(child)]
            else:
                found.append(action)
        return found

    bare = {action.dest for action in options(build_parser()) if action.type in (int, float)}
    assert bare <= {"seed"}
