"""Sampling speed by the paper's protocol, and the operations behind it, which no device changes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

import numpy as np

from titok.config.generator_model import GeneratorModel
from titok.config.sampling import Sampler
from titok.config.throughput import Throughput
from titok.errors import ScoreError
from titok.generation.per_step import guidance_scales
from titok.generation.sample import SampleBatch
from titok.models.flops import detokenize_flops, generator_flops
from titok.models.image_tokenizer import ImageTokenizer
from titok.records.record import Interval

COVERAGE = 0.8
"""Share of the timed batches inside the interval."""


class Speed(NamedTuple):
    """Images per second, of one sitting."""

    median: float
    interval: Interval
    """Of the batches, not of the median; other sittings may lie outside."""


def measure_speed(batches: Iterable[SampleBatch], settings: Throughput) -> Speed:
    """Draws the warm-up batches and those that count, each timed from labels on the host to images on the host.

    Raises ``ScoreError`` when there are too few.
    """
    drawn = islice(batches, settings.warmup_batches + settings.batches)
    rates = [len(batch.labels) / batch.seconds for batch in drawn][settings.warmup_batches :]
    if len(rates) < settings.batches:
        raise ScoreError(f"{len(rates)} batches to time, {settings.batches} are needed (throughput.batches)")
    low, median, high = np.quantile(rates, [(1 - COVERAGE) / 2, 0.5, (1 + COVERAGE) / 2])
    return Speed(float(median), Interval(float(low), float(high), COVERAGE))


def sampling_operations(generator: GeneratorModel, tokenizer: ImageTokenizer, sampler: Sampler) -> int:
    """Operations of one image, multiplications and additions counted separately: every forward pass of the generator,
    two where a step is guided, and the way from its tokens to pixels."""
    passes = sum(2 if scale else 1 for scale in guidance_scales(sampler))
    return passes * generator_flops(generator).forward + detokenize_flops(tokenizer, generator.num_tokens)
