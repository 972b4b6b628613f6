"""What every score record says about its images and where it comes from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from titok.config.data import Dataset
from titok.config.load import ConfigError
from titok.config.measuring_jobs import CostsJob, ProbeJob, ScoreJob, ThroughputJob
from titok.data.images import Images
from titok.data.opening import open_images
from titok.records.record import Interval, Kind, score_record, write_record
from titok.runtime.manifest import provenance


def training_images(options: argparse.Namespace, job: ScoreJob) -> Images:
    """The real images that samples are compared with where the settings name no file of them.

    Raises:
        ConfigError: nobody said where they lie.
    """
    if options.data is None:
        raise ConfigError("the settings name no evaluation.reference, so the training images are: give their --data")
    return open_images(options.data, job.dataset, workers=options.workers)


def pixels_of(images: Images, dataset: Dataset, batch_size: int) -> Iterator[Tensor]:
    """Central crops (B, 3, S, S) in [0, 1] of every image, in order."""
    return (batch.images for batch in images.crops(dataset.image_size, batch_size))


def image_source(images: Images, dataset: Dataset) -> dict[str, Any]:
    """Which images a number is about, for its protocol."""
    crop = {"resize": dataset.resize, "resize_rule": dataset.resize_rule, "crop": dataset.image_size}
    filters = {"bilinear": "bilinear", "none": "none"}
    view = {**crop, "filter": filters.get(dataset.resize_rule, "bicubic"), "position": "centre"}
    return {"dataset": dataset.kind, "split": images.split, "images": len(images), "sha256": images.fingerprint, **view}


def write_score(
    options: argparse.Namespace,
    job: ScoreJob | ProbeJob | ThroughputJob | CostsJob,
    kind: Kind,
    metrics: dict[str, float],
    protocol: dict[str, Any],
    inputs: dict[str, Path],
    device: torch.device,
    intervals: Mapping[str, Interval] | None = None,
    timed: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Writes a score record to ``options.output``; ``options.subject`` says what was scored, ``timed`` how speeds."""
    facts = provenance(seed=options.subject["seed"], config=job.resolved(), inputs=inputs, device=device)
    # No part of the protocol, for it decides nothing but rounding; yet a GPU's last bits may hang on it.
    facts["batch_size"] = _batch_size(job)
    record = score_record(kind, job.study, options.subject, metrics, protocol, facts, intervals, timed)
    write_record(options.output, record)


def _batch_size(job: ScoreJob | ProbeJob | ThroughputJob | CostsJob) -> int:
    """Images that were looked at together."""
    if isinstance(job, ScoreJob):
        return job.evaluation.batch_size
    return job.batch_size if isinstance(job, ProbeJob) else job.throughput.batch_size
