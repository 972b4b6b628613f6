"""Operations of a training job per image, from its settings."""

from __future__ import annotations

from titok.config.section import Section
from titok.training.flops import step_of_job


def flops_per_image(job: Section, task: str) -> int:
    """Of one step of ``task`` with everything at work, per image.

    A critic among the losses counts as the default classifier, for its settings lie in its own model file.
    """
    return step_of_job(job, task).late
