"""ALIT's stage 1 at its smallest official size, step by step, against the official training code.

Half of the batch is a photograph, so this runs where the whole golden folder is at hand (`golden.alit.WHOLE`).
Run: pytest tests/training/test_golden_alit_stage1.py
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from golden.alit import WHOLE, alit_tiny, images, needs_whole_folder, whole_array
from torch import Tensor

from titok.config.alit import LengthProxyLosses
from titok.config.training import Optimizer, Schedule, Training
from titok.models.alit import Alit
from titok.models.published_alit import to_official
from titok.training.alit_stage1 import AlitStage1Task
from titok.training.ema import Ema
from titok.training.task import MODEL

pytestmark = [pytest.mark.long, needs_whole_folder]

ROWS = [0, 2]
FIRST_STEP = 60
"""The official run was recorded after 20 epochs of warm-up, of 200, with 3 steps each."""
TRAINING = Training(
    steps=600,
    batch_size=2,
    optimizer=Optimizer(learning_rate=1.5e-4, betas=(0.9, 0.95), weight_decay=0.05, decayed="matrices"),
    schedule=Schedule(warmup_steps=FIRST_STEP, end_learning_rate=0.0),
    max_grad_norm=3.0,
    ema_decay=0.9999,
    ema_ramp=False,
)


class MaskedTask(AlitStage1Task):
    """Halts where it is told to."""

    masks: Tensor

    def halted(self, logits: Tensor, base_codes: Tensor, uniform: Tensor, iteration: int) -> Tensor:
        return self.masks[iteration]


def task_of(model: Alit) -> MaskedTask:
    model.requires_grad_(True)
    task = MaskedTask(model, model.base, LengthProxyLosses(), TRAINING).train()
    task.masks = torch.from_numpy(whole_array("inputs.npz")["halt_masks"])[:, ROWS]
    return task


def named(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Under official names, without the base."""
    return {name: value for name, value in to_official(values).items() if not name.startswith("base_tokenizer.")}


@pytest.fixture(scope="module")
def steps() -> dict[str, Any]:
    """Three steps: what each found, the first one's gradients, and weights and averages at the end."""
    task, batch = task_of(alit_tiny()), images()[ROWS]
    player = task.players[MODEL]
    ema = Ema(player.parameters, TRAINING.ema_decay, ramp=TRAINING.ema_ramp)
    nothing_drawn = torch.zeros(2, 7, 256)
    rows, found = [], {}
    for step in range(FIRST_STEP, FIRST_STEP + 3):
        terms = task.terms(batch, nothing_drawn, frozenset(range(8)))
        player.backward(terms["loss"])
        if step == FIRST_STEP:
            found["terms"] = terms
            found["grads"] = named({name: value.grad.clone() for name, value in player.parameters.items()})
        rows.append((terms["loss"].item(), player.step(step).item(), player.learning_rate(step)))
        ema.update()
    found["weights"] = named({name: value.detach() for name, value in player.parameters.items()})
    return found | {"rows": np.array(rows), "averages": named(ema.shadow)}


@pytest.fixture(scope="module")
def official() -> dict[str, np.ndarray]:
    return whole_array("outputs_train.npz")


@pytest.fixture(scope="module")
def index() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((WHOLE / "outputs_train_index.json").read_text())
    return found


def first_values(tensor: Tensor, like: np.ndarray) -> np.ndarray:
    return tensor.flatten()[: like.size].numpy()


@pytest.mark.parametrize("ours", ["proxy_code_loss", "code_loss", "quantizer_loss"])
def test_losses_of_every_length(steps: dict[str, Any], official: dict[str, np.ndarray], ours: str) -> None:
    theirs = {"proxy_code_loss": "nll_loss", "code_loss": "code_loss", "quantizer_loss": "quantization_loss"}[ours]
    found = [steps["terms"][f"tokens_{length}_{ours}"].item() for length in range(32, 257, 32)]
    np.testing.assert_allclose(found, official[f"stage1/{theirs}"], rtol=1e-5)


def test_three_steps(steps: dict[str, Any], official: dict[str, np.ndarray]) -> None:
    """Losses, norms and rates.

    After the first step Adam has turned the signs of tiny gradients into whole steps, and single latents are nearest to
    another code. Measured: weights that differ in their last bit alone, drawn twice, move the second loss by 9e-6 and
    its norm by 1e-4, the third loss by 2e-4 and its norm by 1.3e-3.
    """
    theirs = official["stage1/steps"]
    np.testing.assert_allclose(steps["rows"][:, 2], theirs[:, 2], rtol=1e-12)
    for step, (loss, norm) in enumerate([(1e-5, 1e-5), (2e-5, 2e-4), (4e-4, 2.6e-3)]):
        np.testing.assert_allclose(steps["rows"][step, 0], theirs[step, 0], rtol=loss, err_msg=f"loss {step}")
        np.testing.assert_allclose(steps["rows"][step, 1], theirs[step, 1], rtol=norm, err_msg=f"norm {step}")


def test_gradients(steps: dict[str, Any], official: dict[str, np.ndarray], index: dict[str, Any]) -> None:
    names = index["stage1/grad_names"]
    assert sorted(names) == sorted(steps["grads"])
    norms = np.array([steps["grads"][name].norm().item() for name in names])
    largest = official["stage1/grad_norms"].max()
    np.testing.assert_allclose(norms, official["stage1/grad_norms"], rtol=1e-4, atol=1e-6 * largest)
    compared = 0
    for key, theirs in official.items():
        if key.startswith("stage1/grad/"):
            ours = first_values(steps["grads"][key.removeprefix("stage1/grad/")], theirs)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3 * np.abs(theirs).max(), err_msg=key)
            compared += 1
    assert compared > 10


def test_weight_decay_pulls_on_the_same_parameters(index: dict[str, Any]) -> None:
    task = task_of(alit_tiny())
    decay = {id(value): group["weight_decay"] for group in task.players[MODEL].optimizer.param_groups
             for value in group["params"]}  # fmt: skip
    numbers = {name: torch.tensor(decay[id(value)]) for name, value in task.players[MODEL].parameters.items()}
    found = named(numbers)
    assert sorted(name for name, value in found.items() if value > 0) == sorted(index["stage1/decay_names"])
    assert sorted(name for name, value in found.items() if value == 0) == sorted(index["stage1/no_decay_names"])


@pytest.mark.parametrize("which", ["weights", "averages"])
def test_weights_after_three_steps(steps: dict[str, Any], official: dict[str, np.ndarray], which: str) -> None:
    """A whole step of Adam, 3 times, is what a gradient of rounding noise may be off by; the folder says so."""
    beginning = {"weights": "stage1/after3/", "averages": "stage1/after3_ema/"}[which]
    off, total = 0, 0
    for key, theirs in official.items():
        if key.startswith(beginning):
            ours = first_values(steps[which][key.removeprefix(beginning)], theirs)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=2 * 3 * 1.5e-4, err_msg=key)
            off += int((np.abs(ours - theirs) > 2e-6).sum())
            total += theirs.size
    assert total > 640
    assert off <= 0.01 * total, f"{off} of {total}"
