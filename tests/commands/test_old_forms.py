"""What the repository's state before the redesign wrote (commit 63f947b) is still read: `tests/golden/old_forms`.

Run: pytest tests/commands/test_old_forms.py
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from commands.workbench import command

from titok.cli import main
from titok.data.tokens import load_tokens
from titok.models.folder import load_generator
from titok.reporting.collect import read_scores

OLD = Path(__file__).parents[1] / "golden" / "old_forms"
STATE = "9c7709a3693e"
"""By all settings, `compute` and `checkpoint_seconds` among them, which decide nothing."""


def train(folder: Path, config: Path = OLD / "generator.yaml", seed: int = 0) -> list[int]:
    """Goes on with a copy of the old state, or not; the steps of the log."""
    state = folder / "state"
    if not state.exists():
        shutil.copytree(OLD / "state", state)
    output = folder / "model" / "model.safetensors"
    main(command("train", "generator", config=config, tokens=OLD / "tokens.npz", state=state, seed=seed, output=output))
    return [json.loads(line)["step"] for line in output.with_name("metrics.jsonl").read_text().splitlines()]


def states(folder: Path) -> set[str]:
    return {path.name for path in (folder / "state").iterdir()}


def test_a_training_that_was_stopped_goes_on(tmp_path: Path) -> None:
    old = [json.loads(line) for line in (OLD / "state" / STATE / "metrics.jsonl").read_text().splitlines()]
    assert train(tmp_path) == [2, 4]
    assert states(tmp_path) == {STATE}, "no other is begun"
    first = json.loads((tmp_path / "model" / "metrics.jsonl").read_text().splitlines()[0])
    assert first == old[0], "its first half is the old one"
    assert train(tmp_path) == [2, 4]
    assert states(tmp_path) == {STATE}


def test_it_ends_where_a_run_without_a_stop_ended(tmp_path: Path) -> None:
    train(tmp_path)
    found = load_generator(tmp_path / "model" / "model.safetensors").state_dict()
    expected = load_generator(OLD / "generator" / "model.safetensors").state_dict()
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=0, atol=1e-6, msg=name)


@pytest.mark.parametrize("change", ["learning rate", "seed", "unknown", "damaged"])
def test_another_run_leaves_it_alone(tmp_path: Path, change: str) -> None:
    settings = yaml.safe_load((OLD / "generator.yaml").read_text())
    shutil.copytree(OLD / "state", tmp_path / "state")
    run = tmp_path / "state" / STATE / "run.json"
    if change == "learning rate":
        settings["training"]["optimizer"]["learning_rate"] = 0.0002
    if change == "unknown":
        run.write_text(run.read_text().replace("mask_schedule", "schedule_of_masks"))
    if change == "damaged":
        run.write_text("{")
    before = run.read_text()
    config = tmp_path / "generator.yaml"
    config.write_text(yaml.safe_dump(settings))
    assert train(tmp_path, config, seed=int(change == "seed")) == [2, 4]
    assert len(states(tmp_path)) == 2, "it begins anew, beside the other"
    assert run.read_text() == before
    assert not (tmp_path / "state" / STATE / "step-00000004.pt").exists()


def test_tokens_and_scores_are_read() -> None:
    tokens = load_tokens(OLD / "tokens.npz")
    assert (tokens.tokens.shape, tokens.views) == ((1697, 2, 2), ("centre", "random 0"))
    scores = read_scores(sorted((OLD / "scores").glob("*.json")))
    assert list(scores.frame["kind"]) == ["generation", "linear_probe", "reconstruction"]
    written = json.loads((OLD / "scores" / "two.json").read_text())["metrics"]["rfid"]["value"]
    assert scores.select("reconstruction", tokenizer="two", stage="stage2")["rfid"].tolist() == [written]
