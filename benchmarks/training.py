"""One training step of each task, exactly as the training loop takes it: losses, clipping, AdamW, averages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch

from benchmarks.measure import Case
from benchmarks.models import Variant, single_stage
from titok.config.training import (
    Adversarial,
    Compute,
    MaskedTokenLosses,
    ProxyCodeLosses,
    ReconstructionLosses,
    Training,
)
from titok.data.coded_images import CodedBatch
from titok.data.images import Batch
from titok.data.tokens import TokenBatch
from titok.losses.adversarial import AdversarialLoss
from titok.losses.perceptual import LogitDistance
from titok.losses.reconstruction import ReconstructionLoss
from titok.models.generator import build_generator
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.training.generator import GeneratorTask
from titok.training.loop import Run
from titok.training.proxy_vqgan import ProxyVQGANTask
from titok.training.single_stage import SingleStageTask
from titok.training.stage1 import Stage1Task
from titok.training.stage2 import Stage2Task
from titok.training.task import Batch as AnyBatch
from titok.training.task import Task

AS_IT_IS = Compute()


class Repeated(NamedTuple):
    """The same batch at every step: what is timed is the step, not the reading."""

    content: AnyBatch

    def batch(self, step: int) -> AnyBatch:
        """``content``, whatever the step."""
        return self.content


def cases(name: str, variant: Variant, device: torch.device, batch: int, compute: Compute = AS_IT_IS) -> Iterator[Case]:
    """Every task at the variant's sizes; adversaries play from the first step on."""
    training = Training(batch_size=batch, compute=compute)
    images = image_batch(variant, batch)

    def case(what: str, task: Callable[[], Task], content: AnyBatch) -> Case:
        return Case(f"train {name} {what}", "images", batch, lambda: stepper(task(), content, training, device))

    def single(kind: Literal["vq", "vae"]) -> Task:
        return SingleStageTask(TiTok(single_stage(variant, kind)), pixel_losses(1.0), training)

    def generator() -> Task:
        return GeneratorTask(build_generator(variant.generator), "arccos", MaskedTokenLosses(), training)

    yield case("stage1, codes online", lambda: stage1(variant, training), images)
    yield case("stage1, codes stored", lambda: stage1(variant, training), coded_batch(variant, images))
    yield case("stage2", lambda: Stage2Task(TiTok(variant.tokenizer), pixel_losses(0.0), training), images)
    yield case("single stage vq", lambda: single("vq"), images)
    yield case("single stage vae", lambda: single("vae"), images)
    yield case("proxy vqgan", lambda: ProxyVQGANTask(VQGAN(variant.vqgan), pixel_losses(1.0), training), images)
    yield case(f"generator ({variant.generator.kind})", generator, token_batch(variant, batch))


def stepper(task: Task, content: AnyBatch, training: Training, device: torch.device) -> Callable[[], None]:
    """A function that takes the next training step of a fresh run."""
    run = Run(task.to(device).train(), training, seed=0, config={})
    batches = Repeated(content)
    return lambda: run.train_one_step(batches)


def stage1(variant: Variant, training: Training) -> Stage1Task:
    """Stage 1 with a VQGAN beside it."""
    return Stage1Task(TiTok(variant.tokenizer), VQGAN(variant.vqgan), ProxyCodeLosses(), training)


def pixel_losses(quantizer_weight: float) -> ReconstructionLoss:
    """Pixels, ConvNeXt-S and the discriminator, at the published weights."""
    from torchvision.models import convnext_small

    settings = ReconstructionLosses(quantizer_weight=quantizer_weight, adversarial=Adversarial(start_step=0))
    perceptual = LogitDistance(convnext_small().state_dict())
    return ReconstructionLoss(settings, perceptual, AdversarialLoss(settings.adversarial))


def image_batch(variant: Variant, batch: int) -> Batch:
    """Random images, on the host as the data side gives them."""
    side = variant.tokenizer.image_size
    return Batch(torch.rand(batch, 3, side, side), torch.zeros(batch, dtype=torch.int64))


def coded_batch(variant: Variant, images: Batch) -> CodedBatch:
    """The images with proxy codes that were computed before."""
    size = (len(images.labels), variant.tokenizer.grid_size**2)
    return CodedBatch(*images, codes=torch.randint(variant.vqgan.codebook_size, size))


def token_batch(variant: Variant, batch: int) -> TokenBatch:
    """Random tokens of random classes."""
    tokens = torch.randint(variant.tokenizer.codebook_size, (batch, variant.tokenizer.num_latent_tokens))
    return TokenBatch(tokens, torch.randint(variant.generator.num_classes, (batch,)))
