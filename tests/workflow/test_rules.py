"""What every rule owes its users: a log, a benchmark, an environment, and a verb that does the work.

Run: pytest tests/workflow/test_rules.py
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from config.studies import ROOT

from titok.cli import build_parser
from titok.config.training_rules import training_rules

FILES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))


def rules() -> dict[str, str]:
    """Name -> text of every rule with a command, across all files."""
    text = "\n\n".join(path.read_text() for path in FILES)
    found = re.findall(r"^(?:rule (\w+)|use rule \w+ as (\w+) with):\n((?:    .*\n|\n)*)", text, re.MULTILINE)
    trainings = dict.fromkeys((rule.name for rule in training_rules()), training_rule())
    return {plain or derived: body for plain, derived, body in found} | trainings


def training_rule() -> str:
    """The one rule of all trainings, as if it were written for one."""
    text = "".join(path.read_text() for path in FILES if path.stem in ("training_functions", "trainings"))
    _, _, body = text.partition("\n    rule:\n")
    _, _, command = text.partition("def command_of(training):\n")
    body, found, _ = body.partition("            command_of(training)\n")
    assert found
    body += found
    body = textwrap.indent(textwrap.dedent(body), "    ")
    body = body.replace("command_of(training)", command.partition("\n\n\n")[0])
    (state,) = re.findall(r"^    state = (.*)$", text, re.MULTILINE)
    body = body.replace("**params_of(training)", f"state={state}")
    return body.replace('f"', '"').replace("{{", "{").replace("}}", "}")


RULES = rules()
DERIVED = {name for path in FILES for name in re.findall(r"^use rule \w+ as (\w+)", path.read_text(), re.MULTILINE)}
"""Take their commands and environments from other rules."""


def test_the_rules_were_found() -> None:
    assert {"write_config", "train_stage1", "score_vqgan", "verify_checks"} <= RULES.keys()
    assert len(RULES) >= 18


@pytest.mark.parametrize("name", RULES)
def test_rules_that_work_are_logged_timed_and_reproducible(name: str) -> None:
    body = RULES[name]
    assert "    log:\n" in body
    assert '    benchmark:\n        "logs/{study}/benchmarks/' in body
    if name not in DERIVED:
        assert '"../../environment.yml"' in body
        assert re.search(r"{log}", body), "the command writes its log"


@pytest.mark.parametrize("name", sorted(RULES.keys() - DERIVED))
def test_rules_call_one_verb_that_exists(name: str) -> None:
    """Logic belongs into the package; files named by `script:` would rerun whenever a checkout touches them."""
    body = RULES[name]
    assert not re.search(r"^    (run|script|notebook|wrapper):", body, re.MULTILINE)
    words = re.search(r'"python -m titok (\w+)(?: (\w+))?', body)
    assert words
    (verbs,) = [action for action in build_parser()._actions if hasattr(action, "choices") and action.choices]
    assert words.group(1) in verbs.choices


@pytest.mark.parametrize("name", [name for name in RULES if "{params.state" in RULES[name]])
def test_training_state_is_out_of_snakemakes_reach(name: str) -> None:
    """Snakemake deletes the outputs of failed jobs; checkpoints must not be among them."""
    outputs = RULES[name].partition("    output:\n")[2].partition("    log:\n")[0]
    assert "training/" not in outputs
    assert re.search(r'state="results/\{study\}/training/', RULES[name])


def test_captions_of_the_report_exist() -> None:
    for path in FILES:
        for caption in re.findall(r'caption="([^"]+)"', path.read_text()):
            assert (path.parent / caption).exists()
    assert Path(ROOT / "workflow/report/workflow.rst").exists()


SHELL_WORDS = {
    *("params.beside", "params.critic", "params.judge", "params.data", "params.codes", "params.milestones"),
    *("params.paper", "params.train", "params.encoder"),
}
"""Several words that `option` and `milestone_options` have quoted."""


@pytest.mark.parametrize("name", sorted(RULES.keys() - DERIVED))
def test_whatever_a_person_may_have_named_is_quoted(name: str) -> None:
    """Study files have spaces, quotes and ampersands in their names; so may the folders of what ships beside them."""
    command = RULES[name].partition("    shell:\n")[2]
    found = re.findall(r"(?<!{){((?:input|output|params|wildcards)[\w.]*)(:q)?}(?!})", command)
    assert found
    assert {field for field, quoted in found if not quoted} <= SHELL_WORDS


def test_quoted_options_are_made_by_functions_that_quote() -> None:
    text = "".join(path.read_text() for path in FILES)
    for field in sorted(SHELL_WORDS):
        word = field.removeprefix("params.")
        values = set(re.findall(rf"^        {word}=(option.*),$", text, re.MULTILINE))
        values.discard('option("data", "ids")')  # both in one parameter
        assert values == (set() if word in ("milestones", "critic", "codes", "encoder") else {f'option("{word}")'})
    assert re.search(r'name: option\(name\)\s+for name in \("critic", "codes", "encoder"\)', text)
    assert re.findall(r'optional\["milestones"\] = (.*)', text) == ["milestone_options"]
