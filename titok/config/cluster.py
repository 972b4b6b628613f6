"""What jobs take: GPUs, machines, cores, memory and time, by kind of job.

Nothing here is part of a job's resolved settings: the same job on more GPUs is the same job, and is not done again.
Read by the workflow's rules (local machine and Slurm alike) and by whatever reckons what a study costs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from titok.config.jobs import COMPUTING, TRAININGS, job
from titok.config.resources import Resources
from titok.config.study import Study

EVERY_KIND = "default"
"""Key of `resources` for all kinds that do not say otherwise."""


def resources_of(study: Study, kind: str, name: str = "all") -> Resources:
    """What one job takes: the defaults, then the study's keys `default`, KIND and KIND/NAME, each over the one before.

    ``name``: as in ``titok.config.jobs``, `all` where a kind has only one.
    """
    layers = (study.resources.get(key) for key in (EVERY_KIND, kind, f"{kind}/{name}"))
    said = {field: getattr(layer, field) for layer in layers if layer for field in layer.model_fields_set}
    return Resources(**said)


def check_resources(study: Study, jobs: Collection[tuple[str, str]]) -> None:
    """Refuses keys that mean no job, several machines or GPUs for what one process does, and uneven shares.

    Raises:
        ValueError: says which key, what it has, and what is allowed.
    """
    _check_keys(study.resources, jobs)
    for kind, name in jobs:
        if kind not in COMPUTING:
            continue
        taken = resources_of(study, kind, name)
        if kind not in TRAININGS and (taken.nodes > 1 or taken.gpus > 1):
            raise ValueError(
                f"resources: jobs of kind {kind!r} get {taken.nodes} machine(s) with {taken.gpus} GPUs each, but only "
                f"trainings ({', '.join(TRAININGS)}) share work; set resources.{kind} to {{nodes: 1, gpus: 1}}"
            )
        if taken.nodes > 1 and taken.gpus == 0:
            raise ValueError(
                f"resources: {kind} {name!r} gets {taken.nodes} machines without GPUs; several machines are for "
                f"several GPUs: set nodes to 1, or gpus to 1 or more"
            )
        if kind in TRAININGS:
            _check_shares(study, kind, name, taken)


def _check_keys(resources: Mapping[str, Resources], jobs: Collection[tuple[str, str]]) -> None:
    named = {f"{kind}/{name}" for kind, name in jobs if kind in COMPUTING}
    for key in resources:
        if key not in {EVERY_KIND, *COMPUTING, *named}:
            raise ValueError(
                f"resources.{key} means no job; allowed: {EVERY_KIND}, {', '.join(COMPUTING)}, or one job of the "
                f"study: {', '.join(sorted(named)) or 'it has none'}"
            )


def _check_shares(study: Study, kind: str, name: str, taken: Resources) -> None:
    batch_size = job(study, kind, name).training.batch_size  # type: ignore[attr-defined]
    if batch_size % taken.processes:
        raise ValueError(
            f"resources: {kind} {name!r} gets {taken.nodes} x {taken.gpus} GPUs, which cannot share the "
            f"{batch_size} images of an update equally; make nodes x gpus a divisor of {batch_size}"
        )
