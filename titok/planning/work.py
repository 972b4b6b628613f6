"""How much arithmetic a job is: operations counted on the models that its settings describe (`counts`).

Jobs that read files and draw pictures count as nothing; preparing a dataset is work for CPUs and counts as nothing too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from titok.config.image_counts import stated_images
from titok.config.jobs import job
from titok.config.length_stages import scored_lengths
from titok.config.model import ClassifierModel
from titok.config.soft_models import soft_model
from titok.config.study import Study
from titok.config.study_models import generator_model, model_settings, tokenizer_model
from titok.config.throughput import Throughput
from titok.config.tokenizer_facts import generator_stage, tokenizer_facts
from titok.config.training import Compute, Perceptual
from titok.config.training_jobs import TrainingJob
from titok.config.training_rules import training_rules
from titok.generation.per_step import guidance_scales
from titok.models.operations import Flops
from titok.planning.counts import (
    classifier_flops,
    generator_flops,
    parts_of_model,
    step_of_job,
    vqgan_parts,
)
from titok.planning.graph import Job, PlanError
from titok.training.operations import arithmetic_of, by_arithmetic

INCEPTION_FLOPS = 11_426_432_192
"""InceptionV3 at 299 x 299, the network of FID; a test counts it."""

Kind = Literal["training", "encoding", "sampling", "scoring"]


@dataclass(frozen=True)
class Work:
    """What a job asks of a GPU.

    Attributes:
        kind: what measured rates are looked up by, with ``task`` (`stage1`, `generator`, ...).
        images: how many go through, each time counted.
        flops: arithmetic (`half`, `tf32`, `fp32`, `fp64`) -> operations.
        spreads: whether several GPUs can share the job.
    """

    kind: Kind
    task: str
    images: float
    flops: dict[str, float] = field(default_factory=dict)
    spreads: bool = False

    @property
    def total(self) -> float:
        """Operations in any arithmetic."""
        return sum(self.flops.values())


def work_of(job: Job, study: Study) -> Work | None:
    """The work of a planned job; None where a GPU would have nothing to do."""
    estimate = _ESTIMATES.get(job.rule)
    return estimate(job, study) if estimate else None


def num_images(study: Study, split: Literal["train", "test"]) -> int:
    """Images of a split, as the study states them.

    Raises:
        PlanError: it does not.
    """
    found = stated_images(study.dataset, split)
    if found is None:
        raise PlanError(
            f"how many images the study has is not stated, and nothing is read for a plan; add dataset.images, e.g. "
            f"{{train: 1281167, test: 50000}}, to study {study.study!r}"
        )
    return found


TRAINING_RULES = {rule.name: rule.kind for rule in training_rules()}


def _training(planned: Job, study: Study) -> Work:
    kind = TRAINING_RULES[planned.rule]
    settings = job(study, kind.kind, planned.wildcards.get(kind.wildcard, "all"))
    assert isinstance(settings, TrainingJob)
    training = settings.training
    step = step_of_job(settings, _critic(study, getattr(settings, "losses", None)))
    late = max(0, training.steps - step.start_step) / training.steps
    images = training.steps * training.batch_size
    per_image = by_arithmetic(step, kind.kind, training.compute, playing=late)
    flops = {arithmetic: images * number for arithmetic, number in per_image.items()}
    return Work("training", kind.kind, images, flops, spreads=True)


def _critic(study: Study, losses: object) -> ClassifierModel | None:
    perceptual = getattr(losses, "perceptual", None)
    name = perceptual.classifier if isinstance(perceptual, Perceptual) else None
    return study.classifiers[name].model if name else None


def parts_of(study: Study, name: str, stage: str) -> dict[str, Flops]:
    """Boxes of a named tokenizer, baseline or the VQGAN."""
    two_dimensional = study.two_dimensional(name)
    if two_dimensional:
        return vqgan_parts(two_dimensional, study.dataset.image_size)
    if name in study.soft_tokenizers:
        return parts_of_model(soft_model(study, name))
    return parts_of_model(model_settings(study, name, stage)) or parts_of_model(tokenizer_model(study, name, stage))


def coding_flops(study: Study, name: str, stage: str) -> tuple[int, int]:
    """(image to tokens, tokens to image) of a named tokenizer, baseline or the VQGAN, per image."""
    parts = parts_of(study, name, stage)
    decoding = sum(part.forward for box, part in parts.items() if box in ("decoder", "pixel_decoder"))
    return sum(part.forward for part in parts.values()) - decoding, decoding


def _proxy_codes(planned: Job, study: Study) -> Work | None:
    stored = study.proxy_codes
    shares = int(planned.wildcards.get("shares", 1))
    if stored is None or (planned.rule == "extract_codes" and stored.jobs > 1):
        return None  # parts that others made are joined
    images = num_images(study, "train") * stored.views.number / shares
    return Work("encoding", "vqgan", images, {"fp32": images * coding_flops(study, planned.tokenizer, "")[0]})


def _tokens(planned: Job, study: Study) -> Work:
    name, stage = planned.tokenizer, planned.wildcards.get("stage", "")
    images = num_images(study, "train") * study.token_views.number
    return Work("encoding", "tokenizer", images, {"fp32": images * coding_flops(study, name, stage)[0]})


def _samples(planned: Job, study: Study) -> Work:
    images = study.evaluation.num_samples
    return _sampling(planned, study, images, "fp32")


def _throughput(planned: Job, study: Study) -> Work | None:
    """A few batches, timed by themselves."""
    settings = study.throughput
    if settings is None:
        return None
    images = (settings.warmup_batches + settings.batches) * settings.batch_size
    return _sampling(planned, study, images, arithmetic_of(Compute(precision=settings.precision, tf32=settings.tf32)))


def _costs(planned: Job, study: Study) -> Work:
    """Every batch encoded once and decoded once."""
    settings = study.throughput or Throughput()
    images = (settings.warmup_batches + settings.batches) * settings.batch_size
    name, stage = planned.tokenizer, planned.wildcards.get("stage", "")
    arithmetic = arithmetic_of(Compute(precision=settings.precision, tf32=settings.tf32))
    return Work("encoding", "tokenizer", images, {arithmetic: float(images * sum(coding_flops(study, name, stage)))})


def _sampling(planned: Job, study: Study, images: int, arithmetic: str) -> Work:
    name = planned.wildcards["generator"]
    entry, sampler = study.generators[name], study.samplers[planned.wildcards["sampler"]]
    # Guidance is a second pass, where its scale is not zero.
    passes = sum(2 if scale else 1 for scale in guidance_scales(sampler))
    per_image = passes * generator_flops(generator_model(study, name)).forward
    if not study.is_foreign(name):
        per_image += coding_flops(study, entry.tokenizer, generator_stage(study, name))[1]
    return Work("sampling", entry.model.kind, images, {arithmetic: float(images * per_image)})


def _looking(study: Study, images: float) -> dict[str, float]:
    """Images through the network behind the scores."""
    extractor = study.evaluation.extractor
    if extractor.kind == "inception":
        return {"fp64" if extractor.dtype == "float64" else "fp32": images * INCEPTION_FLOPS}
    model = study.classifiers[str(extractor.classifier)].model
    return {"fp32": images * classifier_flops(model, study.dataset.image_size).forward}


def _reconstructions(planned: Job, study: Study) -> Work:
    name, stage = planned.tokenizer, planned.wildcards.get("stage", "")
    images = num_images(study, "test")
    flops = _looking(study, 2 * images)
    flops["fp32"] = flops.get("fp32", 0.0) + images * sum(coding_flops(study, name, stage))
    return Work("scoring", "reconstruction", images, flops)


def _lengths(planned: Job, study: Study) -> Work:
    """Every image encoded once, and decoded and looked at once for each length."""
    name, stage = planned.wildcards["tokenizer"], planned.wildcards["stage"]
    images, lengths = num_images(study, "test"), len(scored_lengths(study, name))
    flops = _looking(study, (1 + lengths) * images)
    encoding, decoding = coding_flops(study, name, stage)
    flops["fp32"] = flops.get("fp32", 0.0) + images * (encoding + lengths * decoding)
    return Work("scoring", "reconstruction", images, flops)


def _generations(planned: Job, study: Study) -> Work:
    images = study.evaluation.num_samples
    return Work("scoring", "generation", images, _looking(study, images))


def _codecs(planned: Job, study: Study) -> Work:
    images = 2 * num_images(study, "test")
    return Work("scoring", "reconstruction", images, _looking(study, images))


def _probe(planned: Job, study: Study) -> Work:
    """Features of stored views once, or of fresh windows in every update; the linear layer counts as nothing."""
    name, views = planned.wildcards["tokenizer"], study.probe.views
    seen = num_images(study, "train") * views.number if views else study.probe.steps * study.probe.batch_size
    images = seen + num_images(study, "test")
    stage = tokenizer_facts(study, name).stages[0]
    return Work("encoding", "tokenizer", images, {"fp32": images * coding_flops(study, name, stage)[0]})


_ESTIMATES: dict[str, Callable[[Job, Study], Work | None]] = {
    **dict.fromkeys(TRAINING_RULES, _training),
    "extract_codes": _proxy_codes,
    "extract_codes_share": _proxy_codes,
    "extract_tokens": _tokens,
    "extract_vqgan_codes": _tokens,
    "sample_generator": _samples,
    "sample_ids": _samples,
    "score_reconstruction": _reconstructions,
    "score_vqgan": _reconstructions,
    "score_quantized": _reconstructions,
    "score_lengths": _lengths,
    "score_codec": _codecs,
    "score_external": _codecs,
    "score_floor": _codecs,
    "score_generation": _generations,
    "score_decoded": _generations,
    "score_probe": _probe,
    "score_throughput": _throughput,
    "score_costs": _costs,
    "score_costs_vqgan": _costs,
}
