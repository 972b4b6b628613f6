"""The encoders of a study's scores and what they see of real images."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from titok.commands.frozen_encoders import file_of
from titok.commands.score_records import image_source, pixels_of, training_images
from titok.config.evaluation import Evaluation
from titok.config.measuring_jobs import ScoreJob
from titok.errors import ScoreError
from titok.evaluation.encoders import EncoderPass
from titok.evaluation.reference import collect_references
from titok.evaluation.samples import Samples
from titok.metrics.features import FeatureExtractor
from titok.metrics.timm_encoder import TimmEncoder
from titok.runtime.files import sha256_file


def open_encoders(settings: Evaluation, device: torch.device) -> dict[str, FeatureExtractor]:
    """Every network of ``settings.encoders``, with its weights."""
    return {
        name: TimmEncoder(one.model, file_of(one.weights), one.sha256, device, one.names, one.input_size)
        for name, one in settings.encoders.items()
    }


def encoders_of_samples(options: argparse.Namespace, job: ScoreJob, device: torch.device) -> EncoderPass:
    """The encoders, each with its own look at the real images: the training images, or those of the reference file."""
    settings, references, scratch = job.evaluation, {}, options.output.parent
    encoders = open_encoders(settings, device)
    if encoders:
        batches, count, source = _real_images(options, job)
        most = settings.precision_recall_references
        references = collect_references(
            batches, count, encoders, max_features=most, source=source, scratch=scratch, device=device
        )
    return EncoderPass(encoders, settings, scratch, device, references)


def _real_images(options: argparse.Namespace, job: ScoreJob) -> tuple[Iterable[Tensor], int, dict[str, Any]]:
    """Batches (B, 3, H, W) in [0, 1], how many images that is, and which."""
    settings = job.evaluation
    if settings.reference is not None:
        path = settings.reference.path
        samples = _images_of(Path(path), settings)
        source = {"images_of": Path(path).name, "sha256": sha256_file(path)}
        return _floats(samples, settings.batch_size), len(samples), source
    images = training_images(options, job)
    return pixels_of(images, job.dataset, settings.batch_size), len(images), image_source(images, job.dataset)


def _floats(samples: Samples, batch_size: int) -> Iterator[Tensor]:
    for batch in samples.batches(batch_size):
        yield torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255


def _images_of(reference: Path, settings: Evaluation) -> Samples:
    try:
        return Samples.open(reference)
    except ScoreError as error:
        raise ScoreError(
            f"{reference} has moments of another network, but no images that evaluation.encoders "
            f"({', '.join(settings.encoders)}) could look at ({error}); name a reference file with images (arr_0), or "
            f"none and give --data"
        ) from error
