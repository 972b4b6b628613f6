"""Data order, crops and samples compared by hash between one, two and four processes that really are processes."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from training.several import in_processes
from training.tiny import GENERATOR, images, titok, tokens

from titok.config.sampling import PUBLISHED_SAMPLERS
from titok.generation.sample import balanced_labels, sample_images
from titok.models.generator import build_generator
from titok.models.image_tokenizer import Ids
from titok.runtime.processes import gathered, place

STEPS = 12
SAMPLES = 24


def written(path: Path, world_size: int, work: object) -> str:
    """SHA-256 that the first of ``world_size`` processes wrote after ``work``, a function that returns a tensor."""

    def run() -> None:
        result = work()  # type: ignore[operator]
        if place().is_first:
            path.write_text(hashlib.sha256(result.numpy().tobytes()).hexdigest())

    if world_size == 1:
        run()
    else:
        assert in_processes(world_size, run) == [0] * world_size
    return path.read_text()


def order_and_crops() -> torch.Tensor:
    """Pixels and labels of every global batch, put together from all processes."""
    source = images(**asdict(place()))
    parts = []
    for step in range(STEPS):
        batch = source.batch(step)
        parts += [gathered(batch.images).flatten(), gathered(batch.labels).float()]
    return torch.cat(parts)


def order_and_views() -> torch.Tensor:
    """The same of tokens."""
    source = tokens(**asdict(place()))
    batches = [source.batch(step) for step in range(STEPS)]
    return torch.cat([part for batch in batches for part in (gathered(batch.tokens).flatten(), gathered(batch.labels))])


def samples() -> torch.Tensor:
    """Images of all processes, each of which makes its share of the places."""
    torch.manual_seed(0)
    generator = build_generator(GENERATOR).eval()
    tokenizer = titok(num_latent_tokens=6).eval()
    labels = balanced_labels(SAMPLES, GENERATOR.num_classes)
    here = place()
    own = np.array_split(np.arange(SAMPLES), here.world_size)[here.rank]
    sampler = PUBLISHED_SAMPLERS["titok-l-32"].model_copy(update={"num_steps": 3})
    found = sample_images(
        generator,
        lambda tokens, lengths: tokenizer.detokenize(Ids(tokens, lengths)),
        labels[own],
        sampler,
        seed=5,
        batch_size=4,
        device=torch.device("cpu"),
        indices=own,
    )
    return gathered(torch.cat([torch.from_numpy(batch.images) for batch in found]))


@pytest.mark.parametrize("work", [order_and_crops, order_and_views, samples])
def test_any_number_of_processes_gives_the_same_bytes(tmp_path: Path, work: object) -> None:
    hashes = {world_size: written(tmp_path / f"{world_size}", world_size, work) for world_size in (1, 2, 4)}
    assert len(set(hashes.values())) == 1, hashes
