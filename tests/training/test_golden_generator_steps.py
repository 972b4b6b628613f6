"""Five steps of a tiny generator, through the loop itself, against the official training code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from golden.rule import HERE, Golden, load_golden, rule_state_dict
from torch import Tensor

from titok.config.training import MaskedTokenLosses, Optimizer, Schedule, Training
from titok.data.tokens import TokenBatch
from titok.generation.masking import MaskingDraws, mask_tokens
from titok.models.generator import MaskGIT, build_generator
from titok.models.published_generators import from_published, generator_model, to_published
from titok.runtime.weights import load_model
from titok.training.generator import GeneratorTask
from titok.training.loop import train

FOLDER = "train_steps_generator_vit_tiny"
NUM_STEPS = 5


class Recorded:
    """The official run's batches and random numbers, handed out step by step."""

    def __init__(self, golden: Golden) -> None:
        self.arrays = {key: torch.from_numpy(values) for key, values in golden.inputs.items()}
        self.step = 0

    def batch(self, step: int) -> TokenBatch:
        self.step = step
        return TokenBatch(self.arrays["tokens"][step].long(), self.arrays["conditions"][step].long())

    def draw(self, batch_size: int, num_tokens: int, rng: torch.Generator) -> MaskingDraws:
        return MaskingDraws(*(self.arrays[name][self.step] for name in ("u_timestep", "u_perm", "u_label")))


@dataclass(frozen=True)
class Run:
    """What our loop made of the golden inputs."""

    golden: Golden
    recorded: Recorded
    model: MaskGIT
    exported: dict[str, Tensor]
    log: list[dict[str, float]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    golden = load_golden(FOLDER)
    config = generator_model(json.loads((HERE / FOLDER / "config.json").read_text()))
    model = build_generator(config)
    shapes = {key: tuple(entry["shape"]) for key, entry in golden.keys.items()}
    model.load_state_dict(from_published(rule_state_dict(shapes, golden.multipliers), config))
    training = Training(
        steps=NUM_STEPS,
        batch_size=8,
        optimizer=Optimizer(learning_rate=2e-4, betas=(0.9, 0.96), weight_decay=0.03),
        schedule=Schedule(warmup_steps=2, end_learning_rate=1e-5),
        log_every=1,
    )
    recorded = Recorded(golden)
    task = GeneratorTask(model, "arccos", MaskedTokenLosses(), training, draw=recorded.draw)
    folder: Path = tmp_path_factory.mktemp("golden_steps")
    train(task, recorded, training, seed=0, config={}, state_dir=folder / "state", output_dir=folder / "out")
    log = [json.loads(line) for line in (folder / "out" / "metrics.jsonl").read_text().splitlines()]
    return Run(golden, recorded, model, load_model(folder / "out")[0], log)


def column(run: Run, name: str) -> list[float]:
    return [line[name] for line in run.log]


def test_masks(run: Run) -> None:
    generator = torch.Generator()
    for step, expected in enumerate(run.golden.outputs["masks"]):
        tokens = run.recorded.batch(step).tokens
        masked = mask_tokens(tokens, 64, run.recorded.draw(*tokens.shape, generator), "arccos", 0.3)
        np.testing.assert_array_equal(masked.mask, expected)


def test_losses_and_gradient_norms(run: Run) -> None:
    losses = list(zip(column(run, "loss"), column(run, "accuracy"), strict=True))
    np.testing.assert_allclose(losses, run.golden.outputs["loss_log"], rtol=1e-5)
    np.testing.assert_allclose(column(run, "grad_norm"), run.golden.outputs["grad_norms"], rtol=1e-5)


def test_learning_rates(run: Run) -> None:
    np.testing.assert_allclose(column(run, "learning_rate"), run.golden.outputs["lr_used"], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("which", ["final", "ema_final"])
def test_weights_after_the_last_step(run: Run, which: str) -> None:
    """To 1e-6, where one update moves a weight by about 1e-4.

    Except for key biases: softmax ignores them, so their gradient is rounding noise that Adam blows up to full steps.
    """
    ours = run.exported if which == "ema_final" else run.model.state_dict()
    published = to_published(ours, run.model.config)
    for row, name in enumerate(run.golden.extra["param_names"]):
        value = published[name]
        stats = torch.stack([value.mean(), value.std(correction=0), value.abs().max()])
        atol = 3e-4 if name.endswith("key.bias") else 1e-6
        head = torch.nn.functional.pad(value.flatten()[:8], (0, max(0, 8 - value.numel())))
        for found, key in ((stats, "param_stats"), (head, "param_first8")):
            expected = torch.from_numpy(run.golden.outputs[f"{which}/{key}"][row])
            torch.testing.assert_close(found, expected, rtol=0, atol=atol, msg=lambda m, n=name: f"{n}: {m}")
