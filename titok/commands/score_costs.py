"""``titok score costs``: parameters, operations, speed and memory of a tokenizer."""

from __future__ import annotations

import argparse

from titok.commands.score_records import write_score
from titok.commands.subjects import of_tokenizer
from titok.config.load import load_job
from titok.config.measuring_jobs import CostsJob
from titok.evaluation.costs import coding_operations, measure_coding
from titok.models.folder import load_image_tokenizer
from titok.models.parameters import tokenizer_parameters
from titok.runtime.device import describe_device, select_device
from titok.runtime.precision import inference

MIB = 2**20


def costs(options: argparse.Namespace) -> None:
    """Counts what can be counted, then times encoding and decoding after a warm-up."""
    job = load_job(options.config, CostsJob)
    settings = job.throughput
    device = select_device(options.device, allow_tf32=settings.tf32, try_convolutions=True)
    model = load_image_tokenizer(options.model, device)
    operations = coding_operations(model, job.image_size)
    with inference(device, settings.precision, model):
        found = measure_coding(model, job.image_size, settings, device)
    metrics = {
        **tokenizer_parameters(model),
        "encode_gflop": operations.encode / 1e9,
        "decode_gflop": operations.decode / 1e9,
        "encode_images_per_second": found.encode.median,
        "decode_images_per_second": found.decode.median,
    }
    protocol = {
        "timed": "8-bit images on the host to ids or latents on the host, and the way back, batch by batch",
        "images": "noise",
        "throughput": settings.identity(),
        "device": describe_device(device),
    }
    if found.memory is not None:
        metrics["peak_memory_mib"], protocol["memory"] = found.memory[0] / MIB, found.memory[1]
    intervals = {
        "encode_images_per_second": found.encode.interval,
        "decode_images_per_second": found.decode.interval,
    }
    options.subject |= of_tokenizer(model, job.image_size)
    if found.width is not None:
        options.subject["latent_width"] = found.width
    write_score(options, job, "costs", metrics, protocol, {"model": options.model}, device, intervals)
