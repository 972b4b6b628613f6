"""``titok score throughput``: how fast one device makes images, by a protocol of its own."""

from __future__ import annotations

import argparse

import numpy as np
import torch

from titok.commands.score_records import write_score
from titok.commands.subjects import of_generator
from titok.config.load import load_job
from titok.config.measuring_jobs import ThroughputJob
from titok.evaluation.throughput import measure_speed, sampling_operations
from titok.generation.noise import DeviceNoise
from titok.generation.sample import sample_images
from titok.models.folder import load_generator, load_image_tokenizer
from titok.models.image_tokenizer import Ids
from titok.models.parameters import count_parameters
from titok.runtime.device import describe_device, select_device
from titok.runtime.precision import inference


def throughput(options: argparse.Namespace) -> None:
    """Times whole batches, tokens and de-tokenization, after a warm-up, and counts their operations."""
    job = load_job(options.config, ThroughputJob)
    settings = job.throughput
    device = select_device(options.device, allow_tf32=settings.tf32, try_convolutions=True)
    generator = load_generator(options.generator, device)
    tokenizer = load_image_tokenizer(options.tokenizer, device)
    seed = int(options.subject["seed"])
    noise = timed_noise(seed, device)
    num_images = settings.batch_size * (settings.warmup_batches + settings.batches)
    labels = np.arange(num_images, dtype=np.int64) % generator.token_space.num_classes
    with inference(device, settings.precision, generator, tokenizer):
        batches = sample_images(
            generator,
            lambda tokens, lengths: tokenizer.detokenize(Ids(tokens, lengths)),
            labels,
            job.sampler,
            seed=seed,
            batch_size=settings.batch_size,
            device=device,
            noise=noise,
        )
        speed = measure_speed(batches, settings)
    metrics = {
        "sampling_images_per_second": speed.median,
        "generator_parameters": float(count_parameters(generator)),
        "sampling_gflop": sampling_operations(generator.config, tokenizer, job.sampler) / 1e9,
    }
    protocol = {
        "timed": "labels on the host to 8-bit images on the host, de-tokenization included, batch by batch",
        "throughput": settings.identity(),
        "device": describe_device(device),
    }
    if noise is not None:
        protocol["noise"] = "torch's generator, as in the official loop"
    inputs = {"generator": options.generator, "tokenizer": options.tokenizer}
    options.subject |= of_generator(generator.config, job.sampler)
    intervals = {"sampling_images_per_second": speed.interval}
    write_score(options, job, "throughput", metrics, protocol, inputs, device, intervals)


def timed_noise(seed: int, device: torch.device) -> DeviceNoise | None:
    """The random numbers within the clock; None: the samples' own.

    On a GPU those would be counted as work of the model: thousands of small kernels on integers, by their traffic a
    tenth of the time of 64 steps of S-128 on an A100.
    """
    return DeviceNoise(seed, device) if device.type == "cuda" else None
