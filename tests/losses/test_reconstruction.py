"""The losses of stage 2 and of single-stage training give the official numbers, term by term and step by step.

Run: pytest tests/losses/test_reconstruction.py
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from golden.loss_inputs import (
    Recorded,
    convnext_state,
    heads_state,
    photographs,
    reconstructions,
    vgg16_state,
)
from golden.rule import load_golden, rule_state_dict, rule_tensor
from torch import Tensor

from titok.config.model import ClassifierModel, DiscriminatorModel
from titok.config.training import Adversarial, Perceptual, ReconstructionLosses
from titok.losses.adversarial import AdversarialLoss
from titok.losses.perceptual import LPIPS, LogitDistance, MixedDistance, PerceptualLoss
from titok.losses.reconstruction import ReconstructionLoss, build_reconstruction_loss
from titok.models.classifier import Classifier
from titok.models.quantizer import GaussianPosterior, Quantized

PREFIX = "perceptual_loss."
STAGE2 = ReconstructionLosses()
SINGLE_STAGE = ReconstructionLosses(
    quantizer_weight=1.0,
    perceptual=Perceptual(kind="lpips+convnext_s", weight=1.1),
    adversarial=Adversarial(weight=0.1, start_step=200_000),
)
PIXELS_ONLY = ReconstructionLosses(perceptual=Perceptual(kind="none"), adversarial=Adversarial(weight=0.0))


@cache
def recorded_convnext() -> PerceptualLoss:
    return Recorded(LogitDistance(convnext_state(PREFIX)))


@cache
def recorded_perceptual(kind: str) -> PerceptualLoss:
    if kind == "convnext_s":
        return recorded_convnext()
    lpips = Recorded(LPIPS(vgg16_state(PREFIX), heads_state(PREFIX)))
    return MixedDistance(lpips, recorded_convnext())  # type: ignore[arg-type]


@cache
def adversarial(config: Adversarial) -> AdversarialLoss:
    loss = AdversarialLoss(config)
    keys = load_golden("loss_stage2").keys
    shapes = {key: tuple(entry["shape"]) for key, entry in keys.items() if not entry.get("buffer")}
    loss.load_state_dict(rule_state_dict(shapes), strict=False)
    return loss


def quantized(loss: float, commitment: float, codebook: float) -> Quantized:
    return Quantized(
        torch.zeros(2, 1, 1),
        torch.zeros(2, 1, dtype=torch.int64),
        commitment_loss=torch.tensor(commitment),
        codebook_loss=torch.tensor(codebook),
        loss=torch.tensor(loss),
    )


def bottleneck(folder: str) -> dict[str, Tensor | Quantized]:
    inputs = load_golden(folder).inputs
    if "posterior_parameters" in inputs:
        moments = torch.from_numpy(inputs["posterior_parameters"]).squeeze(2).transpose(1, 2)
        return {"kl": GaussianPosterior(moments).kl()}
    return {"quantized": quantized(*inputs["quantizer_losses"].tolist())}


@pytest.mark.parametrize(
    ("folder", "step"),
    [
        *(("loss_stage2", step) for step in (0, 19_999, 20_000, 21_000)),
        *(("loss_single_stage_vq", step) for step in (0, 199_999, 200_000)),
        *(("loss_single_stage_vae", step) for step in (0, 199_999, 200_000)),
    ],
)
def test_terms_and_gradients_match_the_official_code(folder: str, step: int) -> None:
    config = STAGE2 if folder == "loss_stage2" else SINGLE_STAGE
    loss = ReconstructionLoss(config, recorded_perceptual(config.perceptual.kind), adversarial(config.adversarial))
    loss.logvar.copy_(rule_tensor("logvar", ()))  # matters only with a posterior
    outputs = load_golden(folder).outputs
    has_gradient = f"generator_step{step}/grad_reconstructions" in outputs
    fake = reconstructions().requires_grad_(has_gradient)

    terms = loss(photographs(), fake, step, **bottleneck(folder))

    names = ["loss", "reconstruction_loss", "perceptual_loss"]
    if folder == "loss_single_stage_vae":
        names += ["kl_loss", "adversarial_loss", "", "", "gan_loss"]
    else:
        names += ["quantizer_loss", "adversarial_loss", "", "commitment_loss", "codebook_loss", "", "gan_loss"]
    for name, wanted in zip(names, outputs[f"generator_step{step}/loss_dict"].tolist(), strict=True):
        if name:
            assert terms[name].item() == pytest.approx(wanted, rel=1e-4, abs=0), name
    if has_gradient:
        terms["loss"].backward()
        assert fake.grad is not None
        gradient = torch.from_numpy(outputs[f"generator_step{step}/grad_reconstructions"])
        atol = 1e-3 * gradient.abs().max().item()
        torch.testing.assert_close(fake.grad[:, :, ::8, ::8], gradient, rtol=0, atol=atol)


def test_the_terms_add_up_and_only_the_loss_has_a_gradient() -> None:
    torch.manual_seed(0)
    config = ReconstructionLosses(
        reconstruction_weight=2.0,
        quantizer_weight=0.5,
        perceptual=Perceptual(kind="classifier", weight=3.0, classifier="judge"),
        adversarial=Adversarial(
            weight=0.25,
            start_step=0,
            discriminator=DiscriminatorModel(channels=8, num_stages=1, pool_size=4, norm_groups=4),
        ),
    )
    loss = build_reconstruction_loss(config, classifier=Classifier(ClassifierModel(channels=(8, 8))))
    images, fake = torch.rand(2, 4, 3, 16, 16)
    terms = loss(images, fake.requires_grad_(), 0, quantized=quantized(1.0, 0.25, 0.75))
    weighted = ("reconstruction_loss", "perceptual_loss", "quantizer_loss", "adversarial_loss")
    torch.testing.assert_close(terms["loss"], torch.stack([terms[name] for name in weighted]).sum())
    torch.testing.assert_close(terms["reconstruction_loss"], 2 * (images - fake.detach()).square().mean())
    assert [name for name, term in terms.items() if term.requires_grad] == ["loss"]


def test_kl_is_summed_over_tokens_and_averaged_over_images() -> None:
    loss = build_reconstruction_loss(PIXELS_ONLY.model_copy(update={"kl_weight": 0.1}))
    images = torch.rand(2, 3, 16, 16)
    terms = loss(images, images, 0, kl=torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert terms["kl_loss"].item() == pytest.approx(0.1 * 21 / 2)


def test_without_perceptual_and_adversarial_nothing_is_built() -> None:
    loss = build_reconstruction_loss(PIXELS_ONLY)
    assert loss.perceptual is None
    assert loss.adversarial is None
    assert list(loss.parameters()) == []
    terms = loss(torch.ones(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), 10**6)
    assert {name: term.item() for name, term in terms.items()} == {"loss": 1.0, "reconstruction_loss": 1.0}


def test_float32_under_autocast() -> None:
    loss = build_reconstruction_loss(PIXELS_ONLY)
    images, fake = torch.rand(2, 4, 3, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(images, fake.bfloat16(), 0)["loss"]
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, loss(images, fake.bfloat16().float(), 0)["loss"])


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (STAGE2, "perceptual.kind is 'convnext_s'"),
        (STAGE2.model_copy(update={"perceptual": Perceptual(kind="none")}), "adversarial.weight is 0.01"),
    ],
)
def test_a_part_that_the_settings_ask_for_must_be_given(config: ReconstructionLosses, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ReconstructionLoss(config, None, None)
