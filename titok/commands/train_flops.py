"""Operations of a training job per image, from its settings."""

from __future__ import annotations

from titok.config.job_settings import ClassifierJob, GeneratorJob, PixelStageJob, Stage1Job, VQGANJob
from titok.config.section import Section
from titok.training.flops import (
    StepFlops,
    classifier_step,
    generator_step,
    single_stage_step,
    stage1_step,
    stage2_step,
    vqgan_step,
)


def flops_per_image(job: Section, task: str) -> int:
    """Of one step of ``task`` with everything at work, per image.

    A critic among the losses counts as the default classifier, for its settings lie in its own model file.
    """
    return _step(job, task).late


def _step(job: Section, task: str) -> StepFlops:
    match job:
        case Stage1Job():
            if job.model.vqgan is None:
                raise ValueError("stage 1 predicts the codes of a VQGAN, but the tokenizer has none")
            return stage1_step(job.model, job.model.vqgan, codes_stored=job.proxy_codes is not None)
        case PixelStageJob():
            return (stage2_step if task == "stage2" else single_stage_step)(job.model, job.losses)
        case VQGANJob():
            return vqgan_step(job.model, job.losses, job.dataset.image_size)
        case GeneratorJob():
            return generator_step(job.model)
        case ClassifierJob():
            return classifier_step(job.model, job.dataset.image_size)
    raise TypeError(f"{type(job).__name__} is no training")
