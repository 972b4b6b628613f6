"""``titok score quantized``: a tokenizer without a codebook, its channels rounded to few bits."""

from __future__ import annotations

import argparse

import torch

from titok.commands.score import named_inputs, score_outputs
from titok.commands.score_records import write_score
from titok.config.load import load_job
from titok.config.measuring_jobs import QuantizedJob
from titok.config.quantization import QUANTIZED
from titok.data.opening import open_images
from titok.errors import OptionError
from titok.evaluation.neighbours import evenly_spaced
from titok.evaluation.quantized import ChannelRanges, quantized, soft_latents
from titok.models.folder import load_image_tokenizer
from titok.models.image_tokenizer import ImageTokenizer
from titok.runtime.device import select_device


def quantized_tokens(options: argparse.Namespace) -> None:
    """Finds the ranges of the channels in training images, and scores what becomes of the test images."""
    job = load_job(options.config, QuantizedJob, options.execution)
    device = select_device(options.device)
    model = load_image_tokenizer(options.model, device)
    if model.facts.is_discrete:
        raise OptionError(f"{options.model}: its tokens are ids already; only soft tokens have channels to round")
    with torch.inference_mode():
        ranges, count = _ranges(options, job, model, device)
    scores = score_outputs(options, job, quantized(model, ranges, options.bits), device)
    tokens, width = _shape(model, job.dataset.image_size, device)
    facts = {"num_latent_tokens": tokens, "latent_width": width, "bits_per_channel": options.bits}
    ranged = f"least to largest of {count} training images, by channel"
    options.subject = {**options.subject, "recipe": QUANTIZED, **facts, "channel_range": ranged}
    metrics = scores.metrics | {"bits_per_image": float(tokens * width * options.bits)}
    inputs = {"model": options.model, "train": options.train, **named_inputs(options)}
    write_score(options, job, "reconstruction", metrics, scores.protocol, inputs, device, scores.intervals)


def _ranges(
    options: argparse.Namespace, job: QuantizedJob, model: ImageTokenizer, device: torch.device
) -> tuple[ChannelRanges, int]:
    """Of the training images' channels, and of how many images."""
    images = open_images(options.train, job.dataset, workers=options.workers)
    chosen = evenly_spaced(job.quantization.range_images, len(images)).tolist()
    crops = images.crops(job.dataset.image_size, job.evaluation.batch_size, only=chosen)
    return ChannelRanges.of(soft_latents(model, batch.images.to(device)) for batch in crops), len(chosen)


def _shape(model: ImageTokenizer, side: int, device: torch.device) -> tuple[int, int]:
    """K and E."""
    with torch.inference_mode():
        _, tokens, width = soft_latents(model, torch.zeros(1, 3, side, side, device=device)).shape
    return tokens, width
