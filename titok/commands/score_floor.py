"""``titok score floor``: mean patches, or regions of one colour, by the protocol of tokenizers."""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path
from typing import Any

from titok.commands.score import NUM_EXAMPLES, named_inputs, save_examples, score_outputs
from titok.commands.score_records import write_score
from titok.config.floors import ImageRegions, PatchCodebook
from titok.config.load import ConfigError, load_job
from titok.config.measuring_jobs import FloorJob
from titok.data.opening import open_images
from titok.evaluation.floors import PatchMeans, RegionColours
from titok.models.image_tokenizer import bits_of
from titok.runtime.device import select_device

LICENCE = "BSD-3-Clause"
"""Of both libraries."""


def floor(options: argparse.Namespace) -> None:
    """Fits what is to be fitted on the training images, and scores what becomes of the test images."""
    job = load_job(options.config, FloorJob, options.execution)
    device, settings = select_device(options.device), job.floor
    inputs = named_inputs(options)
    if isinstance(settings, PatchCodebook):
        means = _fitted(options, job, settings)
        inputs["train"] = options.train
        size: int | None = settings.codebook_size
        scores = score_outputs(options, job, means, device, size, NUM_EXAMPLES)
        facts, metrics = _of_patches(job, settings, means)
    else:
        regions = RegionColours(settings)
        scores = score_outputs(options, job, regions, device, num_examples=NUM_EXAMPLES)
        facts, metrics = _of_regions(settings, regions)
    save_examples(options, scores)
    options.subject = {**options.subject, "recipe": settings.kind, "licence": LICENCE, **facts}
    found = scores.metrics | metrics
    write_score(options, job, "reconstruction", found, scores.protocol, inputs, device, scores.intervals)


def _fitted(options: argparse.Namespace, job: FloorJob, settings: PatchCodebook) -> PatchMeans:
    path: Path | None = options.train
    if path is None:
        raise ConfigError("mean patches are those of training images; give their --train")
    images = open_images(path, job.dataset, workers=options.workers)
    return PatchMeans.fit(images, job.dataset.image_size, settings, int(options.subject["seed"]))


def _of_patches(job: FloorJob, settings: PatchCodebook, means: PatchMeans) -> tuple[dict[str, Any], dict[str, float]]:
    """What is known of it, and what is a metric."""
    tokens = (job.dataset.image_size // settings.patch_size) ** 2
    source = f"MiniBatchKMeans of scikit-learn {version('scikit-learn')}, {settings.patch_size} x {settings.patch_size}"
    facts = {"num_latent_tokens": tokens, "codebook_size": settings.codebook_size, "source": source}
    bits = bits_of(tokens, settings.codebook_size, num_lengths=1)
    return facts, {"bits_per_image": bits, "parameters": float(means.num_parameters)}


def _of_regions(settings: ImageRegions, regions: RegionColours) -> tuple[dict[str, Any], dict[str, float]]:
    """The same; regions are counted, for images get other numbers than are asked for."""
    source = f"SLIC of scikit-image {version('scikit-image')}, about {settings.regions} regions"
    facts = {"num_latent_tokens": regions.regions_per_image, "source": source}
    return facts, {"bits_per_image": regions.bits_per_image, "parameters": 0.0}
