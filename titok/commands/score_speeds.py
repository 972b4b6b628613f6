"""Speeds that come with what is scored, each with how it was measured, which the protocol of the scores cannot say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

from titok.commands.outputs import facts_beside
from titok.runtime.files import read_json

_OF_TRAINING = ("precision", "tf32", "compile")
"""Settings of `training.compute` that change its speed."""
_OF_SAMPLES = ("timing", "batch_size", "precision", "device")
"""What `titok sample` notes about its speed."""


class Speeds(NamedTuple):
    """Metrics that are speeds, or come along with one, and how each speed was measured."""

    metrics: dict[str, float]
    protocols: dict[str, dict[str, Any]]


NONE = Speeds({}, {})


def training_speed(manifest: Path) -> Speeds:
    """Images per second of one of the processes, each of which has a device of its own, so that trainings on different
    numbers of GPUs and the paper's "per A100" can stand side by side; nothing for released models, which were not
    trained here."""
    facts = read_json(manifest) if manifest.exists() else {}
    if "images_per_second" not in facts:
        return NONE
    training = facts["config"]["training"]
    protocol = {
        "timed": "steps of the training, its data included",
        "device": facts["provenance"]["device"],
        "devices": facts["processes"],
        "batch_size": training["batch_size"],
        **{name: training["compute"][name] for name in _OF_TRAINING},
    }
    metric = "training_images_per_second"
    return Speeds({metric: facts["images_per_second"] / facts["processes"]}, {metric: protocol})


def sampling_speed(samples: Path) -> Speeds:
    """What `titok sample` noted beside its samples, the generator's size included; those of others come without."""
    path = facts_beside(samples)
    facts = read_json(path) if path.exists() else {}
    names = {"generator_parameters": "generator_parameters", "images_per_second": "sampling_images_per_second"}
    found = facts if isinstance(facts, dict) else {}
    known = {metric: found[name] for name, metric in names.items() if found.get(name) is not None}
    if not known:
        print(
            f"{samples} was not made by `titok sample` (no facts in {path.name}): speed and size of its generator "
            f"stay unknown",
            file=sys.stderr,
        )
    told = {key: found[key] for key in _OF_SAMPLES if key in found}
    return Speeds(known, {"sampling_images_per_second": told} if told else {})
