"""Operations of one training step of each task, per image, counted part by part (see `titok.models.flops`).

What is counted is what the tasks do: frozen networks forward only, trained ones forward and backward, the adversary's
two turns once it plays. Optimiser and averages are element-wise and left out.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import torch

from titok.config.alit import AlitModel, LengthPixelLosses, LengthProxyLosses
from titok.config.alit_jobs import AlitStage1Job, AlitStage2Job
from titok.config.generator_model import GeneratorModel
from titok.config.model import ClassifierModel, TokenizerModel, VQGANModel
from titok.config.section import Section
from titok.config.soft_jobs import SoftDecoderJob
from titok.config.training import Adversarial, ReconstructionLosses
from titok.config.training_jobs import ClassifierJob, GeneratorJob, SingleStageJob, Stage1Job, Stage2Job, VQGANJob
from titok.losses.adversarial import AdversarialLoss
from titok.losses.perceptual import (
    LPIPS,
    FeatureDistance,
    LogitDistance,
    MixedDistance,
    PerceptualLoss,
    lpips_heads,
)
from titok.models.classifier import Classifier
from titok.models.flops import (
    Flops,
    abstractly,
    classifier_flops,
    count,
    decoder_flops,
    encoder_flops,
    generator_flops,
    pixel_decoder_flops,
    quantizer_flops,
    vqgan_decoder_flops,
    vqgan_encoder_flops,
    vqgan_parts,
)
from titok.models.soft_flops import soft_step
from titok.training.alit_flops import Stage2Operations, stage1_operations
from titok.training.operations import StepFlops


def step_of_job(job: Section, classifier: ClassifierModel | None = None) -> StepFlops:
    """A step of a training by its resolved settings.

    ``classifier`` is the critic of a loss of that kind, whose settings lie elsewhere; null: one of default size.
    """
    match job:
        case Stage1Job():
            if job.model.vqgan is None:
                raise ValueError("stage 1 predicts the codes of a VQGAN, but the tokenizer has none")
            return stage1_step(job.model, job.model.vqgan, codes_stored=job.proxy_codes is not None)
        case Stage2Job():
            return stage2_step(job.model, job.losses, classifier)
        case AlitStage1Job():
            return alit_stage1_step(job.model, job.losses)
        case AlitStage2Job():
            return alit_stage2_step(job.model, job.losses, job.training.steps, classifier)
        case SingleStageJob():
            return single_stage_step(job.model, job.losses, classifier)
        case SoftDecoderJob():
            frozen, trained = soft_step(job.model)
            return StepFlops(frozen, trained, *_losses(job.losses, job.model.image_size, classifier))
        case VQGANJob():
            return vqgan_step(job.model, job.losses, job.dataset.image_size, classifier)
        case GeneratorJob():
            return generator_step(job.model)
        case ClassifierJob():
            return classifier_step(job.model, job.dataset.image_size)
    raise TypeError(f"{type(job).__name__} is no training")


def stage1_step(model: TokenizerModel, vqgan: VQGANModel, *, codes_stored: bool = False) -> StepFlops:
    """Proxy codes (unless they are stored), then TiTok without its pixel decoder."""
    parts = vqgan_parts(vqgan, model.image_size)
    frozen = 0 if codes_stored else parts["encoder"].forward + parts["quantizer"].forward
    return StepFlops(
        frozen, encoder_flops(model).training + _bottleneck(model).training + decoder_flops(model).training
    )


def alit_stage1_step(model: AlitModel, losses: LengthProxyLosses) -> StepFlops:
    """The base's features and codes, then ALIT at all lengths."""
    return StepFlops(*stage1_operations(model, losses))


def alit_stage2_step(
    model: AlitModel, losses: LengthPixelLosses, steps: int, classifier: ClassifierModel | None = None
) -> StepFlops:
    """The mean over a run of ``steps``, whose later steps are the adversaries' for the most part."""
    found = Stage2Operations(model, losses, steps)
    perceptual = perceptual_flops(losses.perceptual.kind, model.image_size, classifier)
    return StepFlops(found.frozen, found.model, int(found.model_turns * perceptual), found.adversary)


def stage2_step(
    model: TokenizerModel, losses: ReconstructionLosses, classifier: ClassifierModel | None = None
) -> StepFlops:
    """Frozen tokens; decoder and pixel decoder learn. ``classifier``: the perceptual network of kind `classifier`."""
    if model.vqgan is None:
        raise ValueError("stage 2 needs a tokenizer with head 'proxy_codes', which has a vqgan; this one has none")
    frozen = encoder_flops(model).forward + _bottleneck(model).forward
    num_codes = (model.grid_size * model.codes_per_patch) ** 2
    trained = decoder_flops(model, trained_before=False) + pixel_decoder_flops(model.vqgan, num_codes)
    return StepFlops(frozen, trained.training, *_losses(losses, model.decoded_size, classifier))


def single_stage_step(
    model: TokenizerModel, losses: ReconstructionLosses, classifier: ClassifierModel | None = None
) -> StepFlops:
    """Everything from pixels to pixels learns."""
    trained = encoder_flops(model).training + _bottleneck(model).training + decoder_flops(model).training
    return StepFlops(0, trained, *_losses(losses, model.image_size, classifier))


def vqgan_step(
    model: VQGANModel, losses: ReconstructionLosses, image_size: int, classifier: ClassifierModel | None = None
) -> StepFlops:
    """The 2D tokenizer, all of it."""
    num_codes = (image_size // model.downsampling) ** 2
    trained = vqgan_encoder_flops(model, image_size) + vqgan_decoder_flops(model, image_size)
    trained += quantizer_flops(model.codebook_size, model.code_dim, num_codes)
    return StepFlops(0, trained.training, *_losses(losses, image_size, classifier))


def generator_step(model: GeneratorModel) -> StepFlops:
    """One forward and backward over K tokens."""
    return StepFlops(0, generator_flops(model).training)


def classifier_step(model: ClassifierModel, image_size: int) -> StepFlops:
    """One forward and backward over an image."""
    return StepFlops(0, classifier_flops(model, image_size).training)


def _bottleneck(model: TokenizerModel) -> Flops:
    """Operations of distances to a codebook; a posterior and scalar quantization have none that count."""
    if not model.has_codebook:
        return Flops(0, 0, 0)
    return quantizer_flops(model.codebook_size, model.code_dim, model.num_latent_tokens)


def _losses(losses: ReconstructionLosses, image_size: int, classifier: ClassifierModel | None) -> tuple[int, int, int]:
    """Perceptual network, adversary and its start step."""
    adversarial = losses.adversarial
    playing = adversarial.weight > 0
    return (
        perceptual_flops(losses.perceptual.kind, image_size, classifier),
        adversary_flops(adversarial, image_size) if playing else 0,
        adversarial.start_step if playing else 0,
    )


PerceptualKind = Literal["none", "convnext_s", "lpips", "lpips+convnext_s", "classifier"]


@cache
def perceptual_flops(kind: PerceptualKind, image_size: int, classifier: ClassifierModel | None = None) -> int:
    """Both images through the network, and back to the reconstruction's pixels."""
    if kind == "none":
        return 0
    with abstractly():
        network = _network(kind, classifier)
        images = torch.empty(1, 3, image_size, image_size)
        reconstructions = torch.empty(1, 3, image_size, image_size, requires_grad=True)
        return count(lambda: network(reconstructions, images).backward())


def _network(kind: PerceptualKind, classifier: ClassifierModel | None) -> PerceptualLoss:
    """The network without weights: those of its files would change no count."""
    if kind == "classifier":
        return FeatureDistance(Classifier(classifier or ClassifierModel()))
    from torchvision.models import convnext_small, vgg16  # 1 s that studies without these networks should not pay

    if kind == "convnext_s":
        return LogitDistance(convnext_small().state_dict())
    lpips = LPIPS(vgg16().state_dict(), lpips_heads().state_dict())
    return lpips if kind == "lpips" else MixedDistance(lpips, LogitDistance(convnext_small().state_dict()))


@cache
def adversary_flops(settings: Adversarial, image_size: int) -> int:
    """The model's verdict with its way back, and the discriminator's own turn on both images."""
    with abstractly():
        adversarial = AdversarialLoss(settings)
        images = torch.empty(1, 3, image_size, image_size)
        reconstructions = torch.empty(1, 3, image_size, image_size, requires_grad=True)
        step = settings.start_step

        def both_turns() -> None:
            adversarial.generator_terms(reconstructions, step)["gan_loss"].backward()
            adversarial.discriminator_terms(images, reconstructions, step)["discriminator_loss"].backward()

        return count(both_turns)
