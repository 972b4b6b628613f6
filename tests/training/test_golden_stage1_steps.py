"""The first step of stage 1 at the official size (S-128), against the official training code.

The official run has four steps; the other three need photographs that this repository does not hold.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.rule import Golden, block_image, load_golden, noise_image, rule_state_dict

from titok.config.model import TokenizerModel, VQGANModel
from titok.config.training import ProxyCodeLosses, Schedule, Training
from titok.data.images import Batch
from titok.models.published import from_published
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.runtime.seed import generator
from titok.training.stage1 import Stage1Task


def rule_weights(golden: Golden) -> dict[str, torch.Tensor]:
    shapes = {key: tuple(entry["shape"]) for key, entry in golden.keys.items() if not entry.get("buffer")}
    return rule_state_dict(shapes, golden.multipliers)


@pytest.mark.slow
def test_the_first_step_of_s128() -> None:
    golden = load_golden("train_steps_stage1_s128")
    config = TokenizerModel(latent_layout="interleaved", pixel_lookup="argmax")
    model, vqgan = TiTok(config), VQGAN(VQGANModel())
    model.load_state_dict(from_published(rule_weights(golden), config), strict=False)  # no pixel decoder there
    vqgan.load_state_dict(rule_weights(load_golden("maskgit_vqgan")))
    task = Stage1Task(model, vqgan, ProxyCodeLosses(), Training(schedule=Schedule(warmup_steps=2))).train()
    images = torch.from_numpy(np.stack([noise_image(1234), block_image(1235)]))
    batch = Batch(images, torch.zeros(2, dtype=torch.long))

    np.testing.assert_array_equal(vqgan.tokenize(images), golden.outputs["proxy_codes"])
    [(player, terms)] = task.updates(batch, 0, generator(0, "step", 0))
    np.testing.assert_array_equal(terms["indices"], golden.outputs["ids"])
    names = ("loss", "proxy_code_loss", "quantizer_loss", "commitment_loss", "codebook_loss")
    found = [terms[name].item() for name in names]
    np.testing.assert_allclose(found, golden.outputs["loss_log"], rtol=1e-5)
    grad_norm = task.players[player].update(terms["loss"], 0)
    np.testing.assert_allclose(grad_norm.item(), golden.outputs["grad_norms"][0], rtol=1e-4)
