"""``titok score external``: what another tokenizer made of the test images, by the protocol of ours."""

from __future__ import annotations

import argparse

from titok.commands.score import named_inputs, save_examples, score_outputs
from titok.commands.score_records import write_score
from titok.config.external import EXTERNAL, External
from titok.config.image_counts import NUM_EXAMPLES
from titok.config.load import load_job
from titok.config.measuring_jobs import ExternalJob
from titok.data.shard_index import split_of
from titok.data.shards import ShardReader
from titok.evaluation.foreign import ForeignReconstructions
from titok.models.image_tokenizer import bits_of
from titok.runtime.device import select_device


def external(options: argparse.Namespace) -> None:
    """Pairs the reconstructions with the test images, and scores them."""
    job = load_job(options.config, ExternalJob, options.execution)
    entry, side = job.external, job.dataset.image_size
    device = select_device(options.device)
    with ShardReader(*split_of(options.data)) as reader:  # names alone: scoring opens the images
        keys = reader.keys.tolist()
    opened = ForeignReconstructions.open(options.reconstructions, keys, side, entry.pairing)
    scores = score_outputs(options, job, opened, device, num_examples=NUM_EXAMPLES)
    save_examples(options, scores)
    metrics = scores.metrics | _bits(entry)
    told = entry.model_dump(include={"num_latent_tokens", "codebook_size", "source", "licence"}, exclude_none=True)
    named = {"tokenizer": job.name, "stage": EXTERNAL, "seed": 0, "recipe": EXTERNAL}
    options.subject = {**named, **told, "pixels_sha256": opened.sha256}
    inputs = named_inputs(options)
    write_score(options, job, "reconstruction", metrics, scores.protocol, inputs, device, scores.intervals)


def _bits(entry: External) -> dict[str, float]:
    """Of an image, as the entry states them or as its ids take; nothing where nobody said."""
    if entry.bits_per_image is not None:
        return {"bits_per_image": entry.bits_per_image}
    if entry.num_latent_tokens is None or entry.codebook_size is None:
        return {}
    return {"bits_per_image": bits_of(entry.num_latent_tokens, entry.codebook_size, num_lengths=1)}
