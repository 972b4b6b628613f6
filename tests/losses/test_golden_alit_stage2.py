"""ALIT's stage 2 against its official code: losses, the adversary's weight, gradients (tests/golden/README.md).

Half of the batch is a photograph, so this runs where the whole golden folder is at hand (`golden.alit.WHOLE`).
Run: pytest tests/losses/test_golden_alit_stage2.py
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
import pytest
import torch
from golden.alit import WHOLE, alit_tiny, images, needs_whole_folder, whole_array
from golden.loss_inputs import official_vgg_key
from golden.rule import rule_tensor
from torch import Tensor

from titok.config.alit import LengthPixelLosses
from titok.losses.length_pixels import LengthPixelLoss
from titok.losses.perceptual import LPIPS
from titok.models.alit import Alit, Code
from titok.models.published_alit import to_official

pytestmark = [pytest.mark.long, needs_whole_folder]

ITERATION = 3
PREFIX = f"gan_losses.{ITERATION}."
ROUNDING = 1e-4
KINKS = 1.4e-2
"""How far two float32 runs may have the adversary's weight apart, of its value. It is a ratio of norms of gradients
that went through ReLU, max-pooling and absolute values of networks of random weights, each of which jumps: the rounding
of the decoder alone (7.7e-6 and 9.7e-6 beside float64, in two arithmetics), added 16 times to its images, moves the
weight by 0.12 % and 0.15 % (standard deviation). Both sides round, so 6 of the larger, times the root of two."""
COLUMNS = ("gan_weight", "total", "nll", "lpips", "gan_loss", "adaptive", "disc_factor", "vq")


def gan_keys() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((WHOLE / "keys_stage2_gan.json").read_text())
    return found


def rule_state(beginning: str) -> dict[str, Tensor]:
    """Parameters of a part of the official loss under their names within it, checked by their sums."""
    state = {}
    for key, entry in gan_keys().items():
        if key.startswith(PREFIX + beginning) and not entry.get("buffer"):
            tensor = rule_tensor(key, tuple(entry["shape"]))
            assert zlib.crc32(tensor.numpy().tobytes()) == entry["crc32"], key
            state[key.removeprefix(PREFIX + beginning)] = tensor
    return state


def official_lpips() -> LPIPS:
    from torchvision.models import vgg16

    state = rule_state("perceptual_loss.")
    with torch.device("meta"):
        names = [f"features.{name}" for name in vgg16().features.state_dict()]
    vgg = {name: state[official_vgg_key(name).removeprefix("lpips.")] for name in names}
    return LPIPS(vgg, {name: value for name, value in state.items() if name.startswith("lin")})


@pytest.fixture(scope="module")
def losses() -> LengthPixelLoss:
    """With the dropout of LPIPS off: the official numbers were made so, for it is not reproducible."""
    settings = LengthPixelLosses(lpips_dropout=False, adversary_in_model_step=True)
    loss = LengthPixelLoss(settings, official_lpips(), 8)
    found = loss.discriminators[ITERATION].load_state_dict(rule_state("discriminator."), strict=False)
    assert all("running" in key or "tracked" in key for key in found.missing_keys)
    assert not found.unexpected_keys
    return loss.train()


@pytest.fixture(scope="module")
def model() -> Alit:
    """All of it trains in stage 2, but the base's codebook, which no gradient reaches."""
    return alit_tiny().requires_grad_(True).train()


@pytest.fixture(scope="module")
def decoded(model: Alit) -> tuple[Tensor, Code, Tensor]:
    batch = images()[[0, 2]]
    state = next(state for state in model.rollout(batch) if state.iteration == ITERATION)
    code = model.code(state)
    return batch, code, model.decode(code.vectors)


@pytest.fixture(scope="module")
def official() -> dict[str, np.ndarray]:
    return whole_array("outputs_train.npz")


def test_the_model_s_losses_at_each_weight_of_the_adversary(
    losses: LengthPixelLoss, model: Alit, decoded: tuple[Tensor, Code, Tensor], official: dict[str, np.ndarray]
) -> None:
    batch, code, restored = decoded
    last = model.base.decoder.conv_out.weight
    for row in official["stage2/gen"]:
        theirs = dict(zip(COLUMNS, row.tolist(), strict=True))
        terms = losses.generator_terms(ITERATION, batch, restored, code.quantized, last, theirs["gan_weight"])
        ours = {
            "total": terms["loss"],
            "nll": terms["reconstruction_loss"] + terms["perceptual_loss"],
            "lpips": terms["perceptual_loss"],
            "vq": terms["quantizer_loss"],
        }
        if theirs["gan_weight"] > 0:
            ours |= {"gan_loss": terms["gan_loss"], "adaptive": theirs["gan_weight"] * terms["adaptive_weight"]}
            assert terms["adaptive_weight"] > 0
        adversarial = abs(theirs["adaptive"] * theirs["gan_loss"]) if theirs["gan_weight"] > 0 else 0.0
        for name, value in ours.items():
            rtol = KINKS if name == "adaptive" else ROUNDING
            atol = 1e-6 + (KINKS * adversarial if name == "total" else 0.0)
            np.testing.assert_allclose(value.item(), theirs[name], rtol=rtol, atol=atol, err_msg=name)


def test_the_adversary_s_losses(
    losses: LengthPixelLoss, decoded: tuple[Tensor, Code, Tensor], official: dict[str, np.ndarray]
) -> None:
    batch, code, restored = decoded
    assert code.quantized is not None
    terms = losses.discriminator_terms(ITERATION, batch, restored)
    found = [
        terms["discriminator_loss"] + code.quantized.loss,  # officially a part of the total that trains nothing
        terms["discriminator_loss"],
        terms["real_logits_mean"],
        terms["fake_logits_mean"],
        code.quantized.loss,
    ]
    np.testing.assert_allclose([value.item() for value in found], official["stage2/disc"], rtol=1e-4, atol=1e-6)


def test_gradients(
    losses: LengthPixelLoss, model: Alit, decoded: tuple[Tensor, Code, Tensor], official: dict[str, np.ndarray]
) -> None:
    """Within 5 % of each norm: kinks of LPIPS with random weights make float32 and float64 differ by 2 %."""
    batch, code, restored = decoded
    last = model.base.decoder.conv_out.weight
    terms = losses.generator_terms(ITERATION, batch, restored, code.quantized, last, 0.2)
    terms["loss"].backward()
    grads = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    assert "base.quantize.embedding.weight" not in grads
    ours = to_official(grads)
    ours |= {PREFIX + f"discriminator.{name}": value.grad
             for name, value in losses.discriminators[ITERATION].named_parameters()}  # fmt: skip
    names = json.loads((WHOLE / "outputs_train_index.json").read_text())["stage2/gen_grad_names"]
    assert sorted(names) == sorted(ours)
    norms = np.array([ours[name].norm().item() for name in names])
    largest = official["stage2/gen_grad_norms"].max()
    np.testing.assert_allclose(norms, official["stage2/gen_grad_norms"], rtol=5e-2, atol=1e-5 * largest)
    np.testing.assert_allclose(np.linalg.norm(norms), official["stage2/gen_grad_total_norm"][0], rtol=5e-2)
    compared = 0
    for key, theirs in official.items():
        if key.startswith("stage2/gen_grad/"):
            found = ours[key.removeprefix("stage2/gen_grad/")].flatten()[: theirs.size]
            np.testing.assert_allclose(found, theirs, rtol=0, atol=5e-2 * np.abs(theirs).max(), err_msg=key)
            compared += 1
    assert compared > 15


def test_without_the_quirk_the_adversary_stays_as_it_is(
    losses: LengthPixelLoss, model: Alit, decoded: tuple[Tensor, Code, Tensor]
) -> None:
    batch, _, restored = decoded
    strict = LengthPixelLoss(LengthPixelLosses(lpips_dropout=False), losses.perceptual, 8).eval()
    last = model.base.decoder.conv_out.weight
    terms = strict.generator_terms(ITERATION, batch, restored.detach().requires_grad_(), None, last, 0.0)
    assert "gan_loss" not in terms
    judged = strict._judged(ITERATION, restored.detach().requires_grad_())
    judged.mean().backward()
    assert all(value.grad is None for value in strict.parameters())
