"""``titok score``: models and images in, score records out."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from titok.commands.lpips_score import open_lpips
from titok.commands.score_encoders import encoders_of_samples, open_encoders
from titok.commands.score_records import image_source, pixels_of, training_images, write_score
from titok.commands.score_speeds import NONE, sampling_speed, training_speed
from titok.commands.subjects import of_samples, of_tokenizer
from titok.config.detector import Detector
from titok.config.evaluation import Extractor
from titok.config.image_counts import NUM_EXAMPLES
from titok.config.load import ConfigError, load_job
from titok.config.measuring_jobs import ScoreJob
from titok.data.opening import open_images
from titok.evaluation.codecs import CodecRoundTrip
from titok.evaluation.decoded import require_made_of
from titok.evaluation.detections import DetectionsPreserved, open_detector
from titok.evaluation.generation import score_samples
from titok.evaluation.per_image import write_per_image
from titok.evaluation.reconstruction import Reconstruct, ReconstructionScores, score_reconstructions
from titok.evaluation.reference import Reference, collect_reference, open_reference
from titok.evaluation.samples import INDEX, Samples
from titok.metrics.features import ClassifierExtractor, FeatureExtractor, InceptionExtractor
from titok.models.folder import load_classifier, load_image_tokenizer
from titok.models.image_tokenizer import ImageTokenizer, Reconstruction
from titok.models.parameters import tokenizer_parameters
from titok.runtime.device import select_device
from titok.runtime.files import existing_file, save_npz, sha256_file
from titok.runtime.seed import generator

LATENTS = {"latents": "as they come; those of a vae sampled, with noise of the image's place"}
"""Part of every reconstruction's protocol, so that tokenizers of all kinds and codecs can share a table."""


def reconstruction(options: argparse.Namespace) -> None:
    """Scores a tokenizer's (or the VQGAN's) reconstructions of the test images."""
    job = load_job(options.config, ScoreJob, options.execution)
    device = select_device(options.device)
    model = load_image_tokenizer(options.model, device)
    size, speed = model.facts.codebook_size, training_speed(options.model.parent / "manifest.json")
    scores = score_outputs(options, job, reconstruct_with(model), device, size, NUM_EXAMPLES)
    save_examples(options, scores)
    options.subject |= of_tokenizer(model, job.dataset.image_size)
    metrics = {**scores.metrics, **tokenizer_parameters(model), **speed.metrics}
    inputs = {"model": options.model, **named_inputs(options)}
    write_score(
        options, job, "reconstruction", metrics, scores.protocol, inputs, device, scores.intervals, speed.protocols
    )


def save_examples(options: argparse.Namespace, scores: ReconstructionScores) -> None:
    """Some originals above their reconstructions, where they were asked for."""
    if options.examples is not None:
        stacked = np.stack([scores.originals, scores.reconstructions])
        save_npz(options.examples, images=stacked, row_labels=np.array(["original", "reconstruction"]))


def codec(options: argparse.Namespace) -> None:
    """Scores what an ordinary codec gives back of the test images, by the protocol of the tokenizers."""
    job = load_job(options.config, ScoreJob, options.execution)
    device = select_device(options.device)
    round_trip = CodecRoundTrip(options.codec, options.quality)
    scores = score_outputs(options, job, round_trip, device)
    options.subject = {"tokenizer": options.codec, "stage": f"q{options.quality}", "seed": 0, "recipe": "codec"}
    metrics = {**scores.metrics, "bits_per_image": round_trip.bits_per_image}
    inputs = named_inputs(options)
    write_score(options, job, "reconstruction", metrics, scores.protocol, inputs, device, scores.intervals)


def score_outputs(
    options: argparse.Namespace,
    job: ScoreJob,
    reconstruct: Reconstruct,
    device: torch.device,
    codebook_size: int | None = None,
    num_examples: int = 0,
) -> ReconstructionScores:
    """Scores what becomes of the test images; the protocol also names them."""
    images = open_images(options.data, job.dataset, workers=options.workers)
    scores = score_reconstructions(
        reconstruct,
        pixels_of(images, job.dataset, job.evaluation.batch_size),
        open_extractor(job.evaluation.extractor, options.judge, device),
        job.evaluation,
        labels=images.labels,
        codebook_size=codebook_size,
        lpips=open_lpips(job.evaluation.lpips, device),
        encoders=open_encoders(job.evaluation, device),
        detections=_detections(job.evaluation.detector, device),
        num_examples=num_examples,
        keep_tokens=options.per_image is not None,
        scratch=options.output.parent,
        device=device,
    )
    if options.per_image is not None:
        write_per_image(options.per_image, scores, images.keys, images.labels)
    named = {"name": job.evaluation.protocol} if job.evaluation.protocol else {}
    protocol = {**named, **scores.protocol, **LATENTS, "reference": image_source(images, job.dataset)}
    return replace(scores, protocol=protocol)


def _detections(settings: Detector | None, device: torch.device) -> DetectionsPreserved | None:
    """A fresh count of what the study's detector finds, if it names one."""
    if settings is None:
        return None
    detect, digest = open_detector(settings.name, settings.path, settings.sha256, device)
    return DetectionsPreserved(detect, settings.confidence, {"detector": settings.name, "sha256": digest})


def named_inputs(options: argparse.Namespace) -> dict[str, Path]:
    """Images and judge among the inputs, where they are named."""
    paths = {name: getattr(options, name) for name in ("data", "judge")}
    return {name: path for name, path in paths.items() if path is not None}


def generation(options: argparse.Namespace) -> None:
    """Scores samples against the training images or a reference file, as ADM's evaluator does."""
    job = load_job(options.config, ScoreJob, options.execution)
    device = select_device(options.device)
    source = options.ids or options.samples
    if options.ids:
        require_made_of(options.samples, options.ids)
    made = sampling_speed(source)
    speed = training_speed(existing_file(options.training)) if options.training else NONE
    extractor = open_extractor(job.evaluation.extractor, options.judge, device)
    scores = score_samples(
        Samples.open(options.samples),
        _reference(options, job, extractor, device),
        extractor,
        job.evaluation,
        num_classes=job.dataset.num_classes,
        encoders=encoders_of_samples(options, job, device),
        scratch=options.output.parent,
        device=device,
    )
    options.subject |= of_samples(source, options.training)
    metrics = {**scores.metrics, **made.metrics, **speed.metrics}
    timed = made.protocols | speed.protocols
    # A folder of parts is known by its index, which holds the parts' sums.
    samples = options.samples / INDEX if options.samples.is_dir() else options.samples
    inputs = {"samples": samples, **({"ids": options.ids} if options.ids else {}), **named_inputs(options)}
    write_score(options, job, "generation", metrics, scores.protocol, inputs, device, scores.intervals, timed)


def _reference(
    options: argparse.Namespace, job: ScoreJob, extractor: FeatureExtractor, device: torch.device
) -> Reference:
    """What samples are compared with: the file that the settings name, or the training images."""
    settings, file = job.evaluation, job.evaluation.reference
    if file is not None:
        return open_reference(
            file.path,
            file.sha256,
            extractor,
            max_features=settings.precision_recall_references,
            batch_size=settings.batch_size,
            device=device,
        )
    images = training_images(options, job)
    return collect_reference(
        pixels_of(images, job.dataset, settings.batch_size),
        len(images),
        extractor,
        max_features=settings.precision_recall_references,
        source=image_source(images, job.dataset),
        scratch=options.output.parent,
        device=device,
    )


def reconstruct_with(model: ImageTokenizer) -> Reconstruct:
    """Images through the model, as the scores want it.

    Continuous latents are sampled, as the released evaluator does it; here with noise of the image's place in the set,
    so that batches change nothing.
    """
    shape, count = model.facts.noise_shape, 0

    def reconstruct(images: Tensor) -> Reconstruction:
        nonlocal count
        places = range(count, count + len(images))
        count += len(images)
        if shape is None:
            return model.reconstruct(images)
        noise = torch.stack([torch.randn(shape, generator=generator(0, "posterior", place)) for place in places])
        return model.reconstruct(images, noise.to(images.device))

    return reconstruct


def open_extractor(settings: Extractor, judge: Path | None, device: torch.device) -> FeatureExtractor:
    """The network whose features are compared."""
    if settings.kind == "inception":
        return InceptionExtractor(str(settings.weights), settings.sha256, settings.dtype, device, settings.resize)
    if judge is None:
        raise ConfigError(f"the scores use classifier {settings.classifier!r}; give its model file with --judge")
    return ClassifierExtractor(load_classifier(judge, device), str(settings.classifier), sha256_file(judge))
