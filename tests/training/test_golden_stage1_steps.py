"""Stage 1 at the official size (S-128), step by step, against the official training code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from golden.rule import Golden, block_image, load_golden, noise_image, rule_state_dict, standard_batch

from titok.config.model import TokenizerModel, VQGANModel
from titok.config.training import ProxyCodeLosses, Schedule, Training
from titok.data.coded_images import CodedBatch
from titok.data.images import Batch
from titok.models.published import from_published, to_published
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.runtime.seed import generator
from titok.training.loop import Run
from titok.training.stage1 import Stage1Task
from titok.training.task import MODEL, Turn

FOLDER = "train_steps_stage1_s128"
LOSSES = ("loss", "proxy_code_loss", "quantizer_loss", "commitment_loss", "codebook_loss")
"""In the order of the official log."""


def rule_weights(golden: Golden) -> dict[str, torch.Tensor]:
    shapes = {key: tuple(entry["shape"]) for key, entry in golden.keys.items() if not entry.get("buffer")}
    return rule_state_dict(shapes, golden.multipliers)


def official_models() -> tuple[TiTok, VQGAN]:
    """S-128 and the MaskGIT-VQGAN with weights by rule."""
    config = TokenizerModel(latent_layout="interleaved", pixel_lookup="argmax")
    model, vqgan = TiTok(config), VQGAN(VQGANModel())
    weights = rule_weights(load_golden(FOLDER))
    model.load_state_dict(from_published(weights, config), strict=False)  # no pixel decoder there
    vqgan.load_state_dict(rule_weights(load_golden("maskgit_vqgan")))
    return model, vqgan


class RecordingTask(Stage1Task):
    """Keeps what every step found before its update."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.found: list[dict[str, torch.Tensor]] = []
        self.proxy_codes: list[torch.Tensor] = []

    def updates(self, batch: Batch | CodedBatch, step: int, rng: torch.Generator) -> Iterator[Turn]:
        self.proxy_codes.append(self.vqgan.network.tokenize(batch.images).values)
        for turn in super().updates(batch, step, rng):
            self.found.append({name: value.detach().clone() for name, value in turn.terms.items()})
            yield turn


class PickedImages:
    """The official run's batches: places in the standard batch, step by step."""

    def __init__(self, images: torch.Tensor, places: list[list[int]]) -> None:
        self.images = images
        self.places = places

    def batch(self, step: int) -> Batch:
        return Batch(self.images[self.places[step]], torch.zeros(2, dtype=torch.long))


def first_values(tensor: torch.Tensor) -> np.ndarray:
    """The first 8 values, padded with zeros."""
    values = tensor.detach().flatten()[:8].numpy()
    return np.pad(values, (0, 8 - len(values)))


def compare_parameters(model: TiTok, names: list[str], outputs: dict[str, np.ndarray], which: str) -> None:
    """Every trained parameter under its official name: statistics, and the first values.

    Adam turns tiny differences of gradients into steps of up to a learning rate; the folder's README allows 3e-4.
    """
    state = to_published(model.state_dict(), model.config)
    for name, stats, first in zip(
        names, outputs[f"{which}/param_stats"], outputs[f"{which}/param_first8"], strict=True
    ):
        tensor = state[name]
        found = [tensor.mean().item(), tensor.std(correction=0).item(), tensor.abs().max().item()]
        np.testing.assert_allclose(found, stats, rtol=1e-3, atol=3e-4, err_msg=name)
        np.testing.assert_allclose(first_values(tensor), first, atol=3e-4, rtol=0, err_msg=name)


@pytest.mark.long
def test_the_first_step_of_s128() -> None:
    golden = load_golden(FOLDER)
    model, vqgan = official_models()
    task = Stage1Task(model, vqgan, ProxyCodeLosses(), Training(schedule=Schedule(warmup_steps=2))).train()
    images = torch.from_numpy(np.stack([noise_image(1234), block_image(1235)]))
    batch = Batch(images, torch.zeros(2, dtype=torch.long))

    np.testing.assert_array_equal(vqgan.tokenize(images).values, golden.outputs["proxy_codes"][0])
    [(player, terms, _)] = task.updates(batch, 0, generator(0, "step", 0))
    np.testing.assert_array_equal(terms["indices"], golden.outputs["ids"][0])
    found = [terms[name].item() for name in LOSSES]
    np.testing.assert_allclose(found, golden.outputs["loss_log"][0], rtol=1e-5)
    grad_norm = task.players[player].update(terms["loss"], 0)
    np.testing.assert_allclose(grad_norm.item(), golden.outputs["grad_norms"][0], rtol=1e-4)


@pytest.mark.long
def test_all_four_steps_of_s128_through_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    golden = load_golden(FOLDER)
    outputs, names, images = golden.outputs, list(golden.keys), standard_batch()
    training = Training(steps=4, batch_size=2, schedule=Schedule(warmup_steps=2))
    task = RecordingTask(*official_models(), ProxyCodeLosses(), training).train()
    take_step, norms = task.players[MODEL].step, []

    def recorded(step: int) -> torch.Tensor:
        norms.append(take_step(step))
        return norms[-1]

    monkeypatch.setattr(task.players[MODEL], "step", recorded)
    run = Run(task, training, seed=0, config={})
    for _ in range(training.steps):
        run.train_one_step(PickedImages(images, golden.extra["batch_image_indices"]))

    ids = torch.stack([terms["indices"] for terms in task.found])
    np.testing.assert_array_equal(ids, outputs["ids"])
    np.testing.assert_array_equal(torch.stack(task.proxy_codes), outputs["proxy_codes"])
    losses = [[terms[name].item() for name in LOSSES] for terms in task.found]
    np.testing.assert_allclose(losses, outputs["loss_log"], rtol=1e-5)
    np.testing.assert_allclose(norms, outputs["grad_norms"], rtol=1e-4)
    compare_parameters(task.model, names, outputs, "final")
    with run.ema.averaged():
        compare_parameters(task.model, names, outputs, "ema_final")
