"""Every task through the loop: golden losses, exact resume, learning at all, and exports that load.

After a change that is meant to alter numbers, write the golden losses again and look at the difference:
``python tests/training/test_tasks.py`` from the repository's root with ``PYTHONPATH=tests``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden.rule import HERE
from training.tiny import TASKS, build

from titok.config.alit import AlitModel
from titok.config.generator_model import GeneratorModel
from titok.config.model import ClassifierModel, TokenizerModel, VQGANModel
from titok.config.soft_tokens import SoftModel
from titok.models.alit import Alit
from titok.models.classifier import Classifier
from titok.models.generator import build_generator
from titok.models.soft_tokenizer import SoftTokenizer
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.runtime.signals import Interrupted
from titok.runtime.weights import load_model, load_state
from titok.training.loop import train
from titok.training.probe import LinearProbe
from titok.training.task import Task

GOLDEN = HERE / "steps"
BUILDERS = {
    "tokenizer": lambda model: TiTok(TokenizerModel(**model)),
    "alit": lambda model: Alit(AlitModel(**model)),
    "soft_tokenizer": lambda model: SoftTokenizer(SoftModel.model_validate(model)),
    "vqgan": lambda model: VQGAN(VQGANModel(**model)),
    "generator": lambda model: build_generator(GeneratorModel(**model)),
    "classifier": lambda model: Classifier(ClassifierModel(**model)),
    "linear_probe": lambda model: LinearProbe(**model),
}


def run(name: str, folder: Path, steps: int = 10, stop_after: int | None = None) -> tuple[Task, list[dict[str, Any]]]:
    """Trains a tiny task; with ``stop_after`` a signal comes during that step and the run is continued once."""
    settings: Any = None
    if stop_after is not None:
        task, batches, settings = build(name, steps)
        with pytest.raises(Interrupted):
            _train(task, StoppingBatches(batches, stop_after), settings, folder)
    task, batches, settings = build(name, steps)
    _train(task, batches, settings, folder)
    return task, [json.loads(line) for line in (folder / "out" / "metrics.jsonl").read_text().splitlines()]


def _train(task: Task, batches: Any, settings: Any, folder: Path) -> None:
    train(task, batches, settings, seed=7, config={}, state_dir=folder / "state", output_dir=folder / "out")


class StoppingBatches:
    """Raises a signal in this process while a batch is made."""

    def __init__(self, batches: Any, at: int) -> None:
        self.batches = batches
        self.at = at

    def batch(self, step: int) -> Any:
        if step == self.at:
            import signal

            signal.raise_signal(signal.SIGTERM)
        return self.batches.batch(step)


def golden_values(lines: list[dict[str, Any]]) -> dict[str, list[float]]:
    """The columns of the log that a change of arithmetic would alter."""
    names = sorted({name for line in lines for name in line if name.endswith(("loss", "grad_norm", "accuracy"))})
    return {name: [line[name] for line in lines if name in line] for name in names}


@pytest.mark.parametrize("name", TASKS)
def test_ten_steps_have_the_golden_losses(name: str, tmp_path: Path) -> None:
    expected = json.loads((GOLDEN / f"{name}.json").read_text())
    found = golden_values(run(name, tmp_path)[1])
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=2e-4, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("name", TASKS)
def test_an_interrupted_run_ends_with_the_same_bits(name: str, tmp_path: Path) -> None:
    whole_task, whole = run(name, tmp_path / "whole", steps=12)
    cut_task, cut = run(name, tmp_path / "cut", steps=12, stop_after=4)
    for (key, expected), found in zip(whole_task.state_dict().items(), cut_task.state_dict().values(), strict=True):
        assert torch.equal(expected, found), key
    expected_export, found_export = (load_model(tmp_path / name / "out")[0] for name in ("whole", "cut"))
    assert all(torch.equal(value, found_export[key]) for key, value in expected_export.items())
    for line in (*whole, *cut):
        del line["images_per_second"]
    assert whole == cut


@pytest.mark.parametrize("name", TASKS)
def test_training_lowers_the_loss(name: str, tmp_path: Path) -> None:
    _, lines = run(name, tmp_path, steps=50)
    # Without the adversary's share, which rises as the discriminator learns.
    losses = [line["loss"] - line.get("adversarial_loss", 0.0) for line in lines if "loss" in line]
    assert np.mean(losses[-8:]) < 0.95 * np.mean(losses[:3])


@pytest.mark.parametrize("name", TASKS)
def test_exports_hold_what_is_needed_to_build_the_model_again(name: str, tmp_path: Path) -> None:
    task, _ = run(name, tmp_path, steps=3)
    state, config = load_model(tmp_path / "out")
    model = BUILDERS[config["kind"]](config["model"])
    load_state(model, state, tmp_path)
    assert type(model) is type(task.model)


@pytest.mark.parametrize("name", TASKS)
def test_checkpoints_hold_no_frozen_networks(name: str, tmp_path: Path) -> None:
    task, _ = run(name, tmp_path, steps=2)
    newest = max((tmp_path / "state").glob("step-*.pt"))
    saved = torch.load(newest, weights_only=True)["task"]["players"]
    trainable = sum(parameter.numel() for parameter in task.parameters() if parameter.requires_grad)
    assert sum(value.numel() for player in saved.values() for value in player["parameters"].values()) == trainable


def write_golden() -> None:
    """Stores what the code computes now as the values to expect."""
    import tempfile

    GOLDEN.mkdir(exist_ok=True)
    for name in TASKS:
        with tempfile.TemporaryDirectory() as folder:
            values = golden_values(run(name, Path(folder))[1])
        text = json.dumps({key: [round(value, 8) for value in column] for key, column in values.items()})
        (GOLDEN / f"{name}.json").write_text(text.replace('], "', '],\n"') + "\n")


if __name__ == "__main__":
    write_golden()
