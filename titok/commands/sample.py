"""``titok sample``: tokens from the generator, images from the tokenizer, and how fast that went."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from titok.commands.outputs import facts_beside
from titok.commands.sample_ids import sample_ids
from titok.config.load import load_job
from titok.config.measuring_jobs import SampleJob
from titok.generation.sample import SampleBatch, balanced_labels, sample_images
from titok.generation.sample_files import SampleParts, finish_samples
from titok.models.folder import load_generator, load_image_tokenizer
from titok.models.image_tokenizer import Ids
from titok.models.parameters import count_parameters
from titok.runtime.device import describe_device, select_device
from titok.runtime.files import sha256_file, write_json
from titok.runtime.manifest import provenance


def sample(options: argparse.Namespace) -> None:
    """Writes samples (ADM's layout: ``arr_0``) and, beside them, how and how fast they were made; without a tokenizer,
    their ids.

    Stopped, the same command goes on after the last part of images that it finished; ids begin anew.
    """
    job = load_job(options.config, SampleJob, options.execution)
    if options.tokenizer is None:
        sample_ids(options, job)
        return
    device = select_device(options.device)
    generator = load_generator(options.generator, device)
    tokenizer = load_image_tokenizer(options.tokenizer, device)
    labels = balanced_labels(job.num_samples, job.num_classes)
    inputs = {"generator": options.generator, "tokenizer": options.tokenizer}
    protocol = {"sampler": job.sampler.resolved(), "num_samples": job.num_samples, "rounding": "truncate"}
    sums = {name: sha256_file(path) for name, path in inputs.items()}
    # The batch size is no part of it: noise does not depend on it. Where a GPU's products round otherwise in another
    # batch, a token changes now and then, and the sample with it: one of the same distribution, none to make again.
    identity = {"protocol": protocol, "num_classes": job.num_classes, "seed": options.seed, "models": sums}
    output: Path = options.output
    is_one_file = output.suffix == ".npz"
    parts = SampleParts(output.with_suffix(".parts") if is_one_file else output, identity, job.num_samples)

    def missing(start: int) -> Iterator[SampleBatch]:
        return sample_images(
            generator,
            lambda tokens, lengths: tokenizer.detokenize(Ids(tokens, lengths)),
            labels[start:],
            job.sampler,
            seed=options.seed,
            batch_size=job.batch_size,
            device=device,
            indices=np.arange(start, job.num_samples),
        )

    images_per_second = finish_samples(parts, missing, output)
    facts = {
        "protocol": protocol,
        "images_per_second": images_per_second,
        "timing": "tokens and de-tokenization, first batch left out",
        "batch_size": job.batch_size,
        "precision": "fp32",
        "device": describe_device(device),
        "generator_parameters": count_parameters(generator),
        "provenance": provenance(seed=options.seed, config=job.resolved(), inputs=inputs, device=device),
    }
    write_json(facts_beside(output), facts)
    if is_one_file:
        parts.remove()
