"""Sampling speed: warm-up left out, the median of batches, operations against torch's own counter.

Run: pytest tests/evaluation/test_throughput.py
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from titok.config.generator_model import GeneratorModel
from titok.config.model import TokenizerModel, TransformerSize, VQGANModel
from titok.config.sampling import Sampler
from titok.config.throughput import Throughput
from titok.errors import ScoreError
from titok.evaluation.throughput import measure_speed, sampling_operations
from titok.generation.decode import decode_tokens
from titok.generation.noise import CounterNoise
from titok.generation.sample import SampleBatch
from titok.models.generator import build_generator
from titok.models.image_tokenizer import Ids
from titok.models.tokenizer import TiTok

SETTINGS = Throughput(batch_size=4, warmup_batches=2, batches=5)


def batch(seconds: float, size: int = 4) -> SampleBatch:
    return SampleBatch(np.arange(size), np.zeros(size, np.int64), np.zeros((size, 2, 2, 3), np.uint8), seconds)


def test_the_first_batches_do_not_count() -> None:
    seconds = itertools.chain([100.0, 50.0], [1.0, 2.0, 4.0, 2.0, 1.0], itertools.repeat(1000.0))
    speed = measure_speed(map(batch, seconds), SETTINGS)
    assert speed.median == 2.0
    assert 1.0 <= speed.interval.low < 2.0 < speed.interval.high <= 4.0
    assert speed.interval.coverage == 0.8


def test_too_few_batches_are_told() -> None:
    with pytest.raises(ScoreError, match=r"1 batches to time, 5 are needed \(throughput.batches\)"):
        measure_speed([batch(1.0)] * 3, SETTINGS)


@pytest.mark.parametrize("guidance", ["constant", "linear"])
def test_operations_are_those_of_sampling_one_image(guidance: str) -> None:
    size = TransformerSize(width=16, depth=2, num_heads=2)
    vqgan = VQGANModel(
        channels=8, channel_multipliers=(1, 2), num_res_blocks=1, code_dim=8, codebook_size=16, norm_groups=4
    )
    shape = {"num_latent_tokens": 4, "codebook_size": 32, "code_dim": 4}
    tokenizer = TokenizerModel(image_size=8, patch_size=2, encoder=size, decoder=size, vqgan=vqgan, **shape)
    generator = GeneratorModel(width=16, depth=3, num_heads=2, num_tokens=4, codebook_size=32, num_classes=10)
    sampler = Sampler(num_steps=3, guidance_schedule=guidance, guidance_scale=1.5)
    torch.manual_seed(0)
    network, decoder = build_generator(generator).eval(), TiTok(tokenizer).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        decoder.detokenize(Ids(decode_tokens(network, torch.zeros(1, dtype=torch.int64), sampler, CounterNoise(0))))
    assert sampling_operations(generator, decoder, sampler) == counter.get_total_flops()
