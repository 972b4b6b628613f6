"""``titok sample``: tokens from the generator, images from the tokenizer, and how fast that went."""

from __future__ import annotations

import argparse

from titok.config.job_settings import SampleJob
from titok.config.load import load_job
from titok.generation.sample import balanced_labels, collect_samples, sample_images
from titok.models.folder import load_generator, load_tokenizer
from titok.runtime.device import describe_device, select_device
from titok.runtime.files import save_npz, write_json
from titok.runtime.manifest import provenance


def sample(options: argparse.Namespace) -> None:
    """Writes samples (ADM's layout: ``arr_0``) and, beside them, how and how fast they were made."""
    job = load_job(options.config, SampleJob)
    device = select_device(options.device)
    generator = load_generator(options.generator, device)
    tokenizer = load_tokenizer(options.tokenizer, device)
    labels = balanced_labels(job.num_samples, job.num_classes)
    batches = sample_images(
        generator,
        tokenizer.detokenize,
        labels,
        job.sampler,
        seed=options.seed,
        batch_size=job.batch_size,
        device=device,
    )
    samples = collect_samples(batches, job.num_samples)
    save_npz(options.output, arr_0=samples.images, labels=samples.labels, index=samples.indices)
    inputs = {"generator": options.generator, "tokenizer": options.tokenizer}
    facts = {
        "protocol": {"sampler": job.sampler.resolved(), "num_samples": job.num_samples, "rounding": "truncate"},
        "images_per_second": samples.images_per_second,
        "timing": "tokens and de-tokenization, first batch left out",
        "batch_size": job.batch_size,
        "precision": "float32",
        "device": describe_device(device),
        "generator_parameters": sum(parameter.numel() for parameter in generator.parameters()),
        "provenance": provenance(seed=options.seed, config=job.resolved(), inputs=inputs, device=device),
    }
    write_json(options.output.with_suffix(".json"), facts)
