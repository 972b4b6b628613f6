"""Every real task at a size that trains in milliseconds, with batches to match."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np
import torch

from titok.config.alit import AlitModel, BatchNormDiscriminator, GanPhase, LengthPixelLosses, LengthProxyLosses
from titok.config.generator_model import GeneratorModel
from titok.config.model import ClassifierModel, DiscriminatorModel, TokenizerModel, TransformerSize, VQGANModel
from titok.config.soft_tokens import FrozenEncoder, SoftModel
from titok.config.training import (
    Adversarial,
    MaskedTokenLosses,
    Optimizer,
    Perceptual,
    ProxyCodeLosses,
    ReconstructionLosses,
    Schedule,
    Training,
)
from titok.data.images import ImageSet, TrainingImages
from titok.data.tokens import TokenSet, TrainingTokens
from titok.losses.length_pixels import LengthPixelLoss
from titok.losses.perceptual import FeatureDistance
from titok.losses.reconstruction import ReconstructionLoss, build_reconstruction_loss
from titok.models.alit import Alit
from titok.models.classifier import Classifier
from titok.models.generator import build_generator
from titok.models.soft_tokenizer import SoftTokenizer
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.training.alit_stage1 import AlitStage1Task
from titok.training.alit_stage2 import AlitStage2Task
from titok.training.classifier import ClassifierTask
from titok.training.generator import GeneratorTask
from titok.training.probe import LinearProbe, ProbeTask, TrainingFeatures
from titok.training.proxy_vqgan import ProxyVQGANTask
from titok.training.single_stage import SingleStageTask
from titok.training.soft_decoder import SoftDecoderTask
from titok.training.stage1 import Stage1Task
from titok.training.stage2 import Stage2Task
from titok.training.task import Batches, Task

SIZE = TransformerSize(width=16, depth=1, num_heads=2)
VQGAN_MODEL = VQGANModel(
    channels=8, channel_multipliers=(1, 1, 2), num_res_blocks=1, code_dim=8, codebook_size=16, norm_groups=4
)
CLASSIFIER = ClassifierModel(channels=(8, 8), feature_dim=8, num_classes=3, dropout=0.1)
GENERATOR = GeneratorModel(width=16, depth=2, num_heads=2, mlp_ratio=2.0, num_tokens=6, codebook_size=16, num_classes=3)


def training(steps: int = 10, **changes: Any) -> Training:
    """Ten steps of batch 8."""
    settings: dict[str, Any] = {
        "steps": steps,
        "batch_size": 8,
        "optimizer": Optimizer(learning_rate=3e-3),
        "schedule": Schedule(warmup_steps=2, end_learning_rate=1e-4),
        "log_every": 1,
    }
    return Training(**{**settings, **changes})


def tokenizer(**changes: Any) -> TokenizerModel:
    """16 x 16 pixels, 4 x 4 patches of 4 pixels, 4 latent tokens."""
    settings: dict[str, Any] = {
        "image_size": 16,
        "patch_size": 4,
        "encoder": SIZE,
        "decoder": SIZE,
        "num_latent_tokens": 4,
        "codebook_size": 16,
        "code_dim": 4,
        "vqgan": VQGAN_MODEL,
        "pixel_lookup": "argmax",
        "codebook_init": "data",
    }
    return TokenizerModel(**{**settings, **changes})


def titok(**changes: Any) -> TiTok:
    """A tokenizer whose tokens differ from image to image from the start.

    The published initialisation is meant for widths of 512 and more; at width 16 it makes all latents alike, and
    rounding would decide which code is nearest.
    """
    model = TiTok(tokenizer(**changes))
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(8.0)
    return model


def pixel_losses(quantizer_weight: float, start_step: int = 4) -> ReconstructionLoss:
    """All terms: pixels, a classifier's features, the quantizer and a discriminator that joins at ``start_step``."""
    config = ReconstructionLosses(
        quantizer_weight=quantizer_weight,
        perceptual=Perceptual(kind="classifier", classifier="critic", weight=0.1),
        adversarial=Adversarial(
            weight=0.1,
            start_step=start_step,
            learning_rate=1e-3,
            discriminator=DiscriminatorModel(channels=8, num_stages=2, pool_size=2, norm_groups=4),
        ),
    )
    return build_reconstruction_loss(config, classifier=Classifier(CLASSIFIER))


def vqgan_task(settings: Training) -> Task:
    return ProxyVQGANTask(VQGAN(VQGAN_MODEL), pixel_losses(1.0), settings)


def stage1_task(settings: Training, **changes: Any) -> Stage1Task:
    return Stage1Task(titok(**changes), VQGAN(VQGAN_MODEL), ProxyCodeLosses(), settings)


def stage2_task(settings: Training, **changes: Any) -> Stage2Task:
    return Stage2Task(titok(pixel_lookup="soft", **changes), pixel_losses(0.0), settings)


def alit(**changes: Any) -> Alit:
    """16 x 16 pixels, 4 lengths of 2, 4, 6 and 8 tokens, which differ from image to image and from length to length."""
    settings: dict[str, Any] = {
        "image_size": 16,
        "transformer": SIZE,
        "tokens_per_iteration": 2,
        "iterations": 4,
        "codebook_size": 16,
        "code_dim": 4,
        "codebook_init": "data",
        "halting_threshold": 0.05,
        "vqgan": VQGAN_MODEL,
    }
    model = Alit(AlitModel(**{**settings, **changes}))
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(3.0)  # four passes in a row: 8 would be chaotic
    return model


def alit_stage1_task(settings: Training) -> AlitStage1Task:
    return AlitStage1Task(alit(), VQGAN(VQGAN_MODEL), LengthProxyLosses(length_weights=(2.0, 1.0)), settings)


def alit_stage2_task(settings: Training) -> AlitStage2Task:
    """Three steps of the model alone, then turns of the adversary's two and the model's one."""
    phases = (GanPhase(start_step=3, weight=0.2),)
    config = LengthPixelLosses(
        perceptual=Perceptual(kind="classifier", classifier="critic", weight=1.0),
        phases=phases,
        discriminator_steps=2,
        discriminator=BatchNormDiscriminator(channels=4, num_stages=1),
    )
    model = alit(codebook_init="published")
    with torch.no_grad():
        model.quantize.embedding.weight.normal_()
    perceptual = FeatureDistance(Classifier(CLASSIFIER))
    return AlitStage2Task(model, LengthPixelLoss(config, perceptual, model.config.iterations), settings)


def single_stage_vq_task(settings: Training, **changes: Any) -> Task:
    model = titok(head="pixels", vqgan=None, use_l2_norm=False, reanchor_codes=True, **changes)
    return SingleStageTask(model, pixel_losses(1.0), settings)


def single_stage_vae_task(settings: Training) -> Task:
    return SingleStageTask(titok(head="pixels", vqgan=None, kind="vae"), pixel_losses(0.0), settings)


def soft_decoder_task(settings: Training) -> SoftDecoderTask:
    """Four averages of a classifier's places, with noise while the decoder learns."""
    encoder = FrozenEncoder(classifier=CLASSIFIER, image_size=16)
    model = SoftTokenizer(SoftModel(encoder=encoder, num_latent_tokens=4, patch_size=4, decoder=SIZE))
    return SoftDecoderTask(model, pixel_losses(0.0), settings, latent_noise=0.5)


def generator_task(settings: Training) -> Task:
    return GeneratorTask(build_generator(GENERATOR), "arccos", MaskedTokenLosses(), settings)


def uvit_task(settings: Training) -> Task:
    model = build_generator(GENERATOR.model_copy(update={"kind": "uvit"}))
    return GeneratorTask(model, "cosine", MaskedTokenLosses(), settings)


def lengths_task(settings: Training) -> Task:
    """A generator whose images have 1 to 6 tokens."""
    model = build_generator(GENERATOR.model_copy(update={"has_lengths": True}))
    found = token_set(has_lengths=True)
    model.learn_lengths(found.lengths, found.labels)
    return GeneratorTask(model, "arccos", MaskedTokenLosses(), settings)


def classifier_task(settings: Training) -> Task:
    return ClassifierTask(Classifier(CLASSIFIER), CLASSIFIER, settings)


def probe_task(settings: Training) -> Task:
    return ProbeTask(LinearProbe(5, 3), settings)


def images(**place: int) -> Batches:
    """40 images of 18 x 18 pixels in blocks of 3, one colour brighter by class, cropped to 16 and flipped."""
    numbers = np.random.default_rng(0)
    labels = torch.from_numpy(numbers.integers(0, 3, 40))
    coarse = torch.from_numpy(numbers.integers(0, 128, (40, 3, 6, 6), dtype=np.uint8))
    coarse[torch.arange(40), labels] += 127
    pixels = coarse.repeat_interleave(3, dim=2).repeat_interleave(3, dim=3)
    keys = np.array([f"{index:02d}" for index in range(40)])
    return TrainingImages(ImageSet(pixels, labels, keys, "made up"), crop=16, batch_size=8, seed=0, **place)


def token_set(*, has_lengths: bool = False) -> TokenSet:
    """40 images, two views of six tokens that depend on the class, or of one to six."""
    numbers = np.random.default_rng(1)
    labels = numbers.integers(0, 3, 40)
    ids = (numbers.integers(0, 4, (40, 2, 6)) + 4 * labels[:, None, None]).astype(np.uint16)
    lengths = numbers.integers(1, 7, (40, 2)).astype(np.uint16) if has_lengths else None
    return TokenSet(ids, labels, "none", ("a", "b"), {}, lengths)


def tokens(**place: int) -> Batches:
    """Of one length."""
    return TrainingTokens(token_set(), batch_size=8, seed=0, **place)


def tokens_with_lengths(**place: int) -> Batches:
    """Of lengths of their own."""
    return TrainingTokens(token_set(has_lengths=True), batch_size=8, seed=0, **place)


def features() -> Batches:
    """40 rows of five features, the first three telling the class."""
    numbers = np.random.default_rng(2)
    labels = numbers.integers(0, 3, 40)
    rows = numbers.normal(size=(40, 5)).astype(np.float32)
    rows[np.arange(40), labels] += 3
    return TrainingFeatures(100 * rows[:, None], torch.from_numpy(labels), batch_size=8, seed=0)


class Built(NamedTuple):
    task: Task
    batches: Batches
    settings: Training


TASKS: dict[str, tuple[Callable[[Training], Task], Callable[..., Batches]]] = {
    "vqgan": (vqgan_task, images),
    "stage1": (stage1_task, images),
    "stage1_tail_drop": (lambda settings: stage1_task(settings, tail_drop="uniform"), images),
    "stage2": (stage2_task, images),
    "stage2_tail_drop": (lambda settings: stage2_task(settings, tail_drop="uniform"), images),
    "alit_stage1": (alit_stage1_task, images),
    "alit_stage2": (alit_stage2_task, images),
    "single_stage_vq": (single_stage_vq_task, images),
    "single_stage_vae": (single_stage_vae_task, images),
    "soft_decoder": (soft_decoder_task, images),
    "generator_vit": (generator_task, tokens),
    "generator_uvit": (uvit_task, tokens),
    "generator_lengths": (lengths_task, tokens_with_lengths),
    "classifier": (classifier_task, images),
    "probe": (probe_task, features),
}


def build(name: str, steps: int = 10, *, place: dict[str, int] | None = None, **changes: Any) -> Built:
    """A named task with fresh weights (always the same), its batches and its settings, some of them changed."""
    settings = training(steps, **changes)
    make_task, make_batches = TASKS[name]
    torch.manual_seed(0)
    return Built(make_task(settings), make_batches(**(place or {})), settings)


class Broken:
    """Batches of which some have no number in them."""

    def __init__(self, batches: Any, steps: Collection[int]) -> None:
        self.batches = batches
        self.steps = steps

    def batch(self, step: int) -> Any:
        batch = self.batches.batch(step)
        if step not in self.steps:
            return batch
        return batch._replace(images=torch.full(batch.images.shape, float("nan")))
