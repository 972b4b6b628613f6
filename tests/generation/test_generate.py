"""`titok.generate`: one call, any form of labels, the same samples in any split.

Run: pytest tests/generation/test_generate.py
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.tiny_generators import tiny_generator
from torch import Tensor

import titok
from titok.config.sampling import PUBLISHED_SAMPLERS
from titok.errors import OptionError
from titok.generation.decode import decode_tokens
from titok.generation.noise import CounterNoise, NoiseKind
from titok.models.generator import MaskGIT


@pytest.fixture(scope="module")
def generator() -> MaskGIT:
    return tiny_generator("generator_vit_tiny")[0]


def test_it_is_the_decoding_loop(generator: MaskGIT) -> None:
    labels, sampler = torch.tensor([3, 1, 9]), PUBLISHED_SAMPLERS["titok-b-64"]
    expected = decode_tokens(generator, labels, sampler, CounterNoise(5))
    for form in (labels, labels.tolist(), labels.numpy(), labels.numpy().astype(np.uint16)):
        assert torch.equal(titok.generate(generator, form, "titok-b-64", seed=5), expected)
    assert torch.equal(titok.generate(generator, labels, sampler, CounterNoise(5)), expected)
    assert not torch.equal(titok.generate(generator, labels, sampler, seed=6), expected)
    assert expected.shape == (3, 16)
    assert expected.dtype == torch.int64


def test_parts_of_a_set_are_the_set(generator: MaskGIT) -> None:
    labels = np.arange(6)
    whole = titok.generate(generator, labels, "titok-l-32", seed=1)
    parts = [titok.generate(generator, labels[p], "titok-l-32", seed=1, indices=p) for p in ([4, 5], [0], [1, 2, 3])]
    assert torch.equal(torch.cat([parts[1], parts[2], parts[0]]), whole)


def test_noise_and_steps_are_the_callers(generator: MaskGIT) -> None:
    asked: list[tuple[int, NoiseKind]] = []

    class Middle:
        def uniform(self, sample_indices: Tensor, step: int, kind: NoiseKind, shape: tuple[int, ...]) -> Tensor:
            asked.append((step, kind))
            return torch.full((len(sample_indices), *shape), 0.5)

    seen: list[int] = []
    titok.generate(generator, [1], "titok-l-32", Middle(), trace=lambda step, _: seen.append(step))
    assert asked == [(step, kind) for step in range(7) for kind in NoiseKind]
    assert seen == list(range(9))


def test_mistakes(generator: MaskGIT) -> None:
    with pytest.raises(OptionError, match="sampler is 'best'; allowed: titok-l-32"):
        titok.generate(generator, [1], "best")
    with pytest.raises(OptionError, match="label 10 is no class"):
        titok.generate(generator, [10], "titok-l-32")
    with pytest.raises(OptionError, match="one index per label"):
        titok.generate(generator, [1, 2], "titok-l-32", indices=[0])
    generator.train()
    with pytest.raises(OptionError, match=r"call eval\(\)"):
        titok.generate(generator, [1], "titok-l-32")
    generator.eval()
