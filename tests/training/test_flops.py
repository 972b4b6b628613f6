"""Operations of a training step: parts and losses against the very tasks that train, run for real.

Run: pytest tests/training/test_flops.py
"""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from titok.config.generator_model import GeneratorModel
from titok.config.model import ClassifierModel, DiscriminatorModel, TokenizerModel, TransformerSize, VQGANModel
from titok.config.training import (
    Adversarial,
    MaskedTokenLosses,
    Perceptual,
    ProxyCodeLosses,
    ReconstructionLosses,
    Training,
)
from titok.data.coded_images import CodedBatch
from titok.data.images import Batch
from titok.data.tokens import TokenBatch
from titok.losses.reconstruction import ReconstructionLoss, build_reconstruction_loss
from titok.models.classifier import Classifier
from titok.models.generator import build_generator
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.training.flops import (
    classifier_step,
    generator_step,
    perceptual_flops,
    single_stage_step,
    stage1_step,
    stage2_step,
    vqgan_step,
)
from titok.training.generator import GeneratorTask
from titok.training.operations import StepFlops
from titok.training.proxy_vqgan import ProxyVQGANTask
from titok.training.single_stage import SingleStageTask
from titok.training.stage1 import Stage1Task
from titok.training.stage2 import Stage2Task
from titok.training.task import Task

BATCH = 2
LATE = 100
SIZE = TransformerSize(width=16, depth=2, num_heads=2)
PROXY = VQGANModel(
    channels=8, channel_multipliers=(1, 2), num_res_blocks=1, code_dim=8, codebook_size=16, norm_groups=4
)
TWO_STAGE = TokenizerModel(
    image_size=16,
    patch_size=2,
    encoder=SIZE,
    decoder=SIZE,
    num_latent_tokens=4,
    codebook_size=8,
    code_dim=4,
    vqgan=PROXY,
)
PIXELS = TWO_STAGE.model_copy(update={"head": "pixels", "vqgan": None, "reanchor_codes": True})
CRITIC = ClassifierModel(channels=(4, 8))
DISCRIMINATOR = DiscriminatorModel(channels=8, num_stages=1, pool_size=4, norm_groups=4)
LOSSES = ReconstructionLosses(
    quantizer_weight=1.0,
    perceptual=Perceptual(kind="classifier", classifier="critic"),
    adversarial=Adversarial(start_step=50, discriminator=DISCRIMINATOR),
)
TRAINING = Training(steps=100, batch_size=BATCH, schedule={"warmup_steps": 0})


def losses() -> ReconstructionLoss:
    return build_reconstruction_loss(LOSSES, Classifier(CRITIC))


def images() -> Batch:
    return Batch(torch.rand(BATCH, 3, 16, 16), torch.zeros(BATCH, dtype=torch.int64))


def flops_of(task: Task, batch: object, step: int) -> int:
    """Operations of everything the task does in a step, as the loop drives it; attention by its two products (fused
    kernels compute one of them again on their way back)."""
    task.train()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        for turn in task.updates(batch, step, torch.Generator()):
            turn.terms["loss"].backward()
    return int(counter.get_total_flops())


def test_stage_1() -> None:
    step = stage1_step(TWO_STAGE, PROXY)
    task = Stage1Task(TiTok(TWO_STAGE), VQGAN(PROXY), ProxyCodeLosses(), TRAINING)
    assert BATCH * step.late == flops_of(task, images(), 1)


def test_stage_1_with_stored_codes() -> None:
    step = stage1_step(TWO_STAGE, PROXY, codes_stored=True)
    task = Stage1Task(TiTok(TWO_STAGE), VQGAN(PROXY), ProxyCodeLosses(), TRAINING)
    batch = CodedBatch(*images(), codes=torch.zeros(BATCH, 64, dtype=torch.int64))
    assert BATCH * step.late == flops_of(task, batch, 1)
    assert step.frozen == 0


def pixel_tasks() -> list[tuple[str, Task, StepFlops]]:
    vae = PIXELS.model_copy(update={"kind": "vae"})
    two_stage = TWO_STAGE.model_copy(update={"pixel_lookup": "soft"})
    return [
        ("stage2", Stage2Task(TiTok(two_stage), losses(), TRAINING), stage2_step(two_stage, LOSSES, CRITIC)),
        ("vq", SingleStageTask(TiTok(PIXELS), losses(), TRAINING), single_stage_step(PIXELS, LOSSES, CRITIC)),
        ("vae", SingleStageTask(TiTok(vae), losses(), TRAINING), single_stage_step(vae, LOSSES, CRITIC)),
        ("vqgan", ProxyVQGANTask(VQGAN(PROXY), losses(), TRAINING), vqgan_step(PROXY, LOSSES, 16, CRITIC)),
    ]


@pytest.mark.parametrize(("task", "step"), [pytest.param(task, step, id=name) for name, task, step in pixel_tasks()])
def test_tasks_that_reconstruct(task: Task, step: StepFlops) -> None:
    assert BATCH * (step.late - step.adversary) == flops_of(task, images(), 1)
    assert BATCH * step.late == flops_of(task, images(), LATE)
    assert step.start_step == 50
    assert step.total(120) == 50 * (step.late - step.adversary) + 70 * step.late


def test_the_generator() -> None:
    config = GeneratorModel(num_tokens=4, codebook_size=8, num_classes=3, width=16, depth=2, num_heads=2)
    task = GeneratorTask(build_generator(config), "arccos", MaskedTokenLosses(), TRAINING)
    batch = TokenBatch(torch.zeros(BATCH, 4, dtype=torch.int64), torch.zeros(BATCH, dtype=torch.int64))
    assert BATCH * generator_step(config).late == flops_of(task, batch, 1)


def test_the_classifier() -> None:
    model = Classifier(CRITIC)
    with FlopCounterMode(display=False) as counter:
        model(images().images).sum().backward()
    assert BATCH * classifier_step(CRITIC, 16).late == counter.get_total_flops()


def test_perceptual_networks_of_the_published_recipes() -> None:
    """ConvNeXt-S has 8.7 billion multiply-adds at 224 pixels (torchvision's own number): twice forward, once back to
    the pixels; VGG16's convolutions have 15.3 billion there."""
    assert perceptual_flops("convnext_s", 256) == pytest.approx(3 * 2 * 8.68e9, rel=0.02)
    lpips = perceptual_flops("lpips", 224)
    assert lpips == pytest.approx(3 * 2 * 15.35e9, rel=0.03)
    assert perceptual_flops("lpips+convnext_s", 224) == lpips + perceptual_flops("convnext_s", 224)
    assert perceptual_flops("none", 256) == 0


def test_stage_2_of_a_model_without_pixel_decoder_is_refused() -> None:
    with pytest.raises(ValueError, match="head 'proxy_codes'"):
        stage2_step(PIXELS, LOSSES, CRITIC)
