"""`titok.generate`: classes to tokens with one call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from titok.config.sampling import PUBLISHED_SAMPLERS, Sampler
from titok.errors import OptionError
from titok.generation.decode import Trace
from titok.generation.guidance import TokenGenerator
from titok.generation.noise import CounterNoise, NoiseStream
from titok.generation.sample import SampledTokens, check_request, sample_tokens


def generate(
    generator: TokenGenerator,
    labels: Sequence[int] | np.ndarray | Tensor,
    sampler: Sampler | str,
    noise: NoiseStream | None = None,
    *,
    seed: int = 0,
    indices: Sequence[int] | np.ndarray | Tensor | None = None,
    trace: Trace | None = None,
) -> Tensor:
    """Tokens (N, K) int64 for the classes ``labels`` (N,), on the generator's device, in one batch.

    ``sampler``: settings, or the name of published ones (``titok-l-32``, ``titok-b-64``, ``titok-s-128``).
    ``noise``: a stream of uniform numbers, for example a recorded one; the default is a function of ``seed`` and each
    sample's place in ``indices`` (N,) (default 0..N-1) alone, so that any split into calls gives the same samples.
    ``trace`` sees the tokens of every step.

    Raises:
        OptionError: an unknown sampler or class, or a generator in training mode; or one whose samples have lengths of
            their own, which `generate_lengths` gives.
    """
    made = generate_lengths(generator, labels, sampler, noise, seed=seed, indices=indices, trace=trace)
    if made.lengths is not None:
        raise OptionError(
            "this generator's samples have lengths of their own; titok.generation.generate.generate_lengths gives them"
        )
    return made.values


def generate_lengths(
    generator: TokenGenerator,
    labels: Sequence[int] | np.ndarray | Tensor,
    sampler: Sampler | str,
    noise: NoiseStream | None = None,
    *,
    seed: int = 0,
    indices: Sequence[int] | np.ndarray | Tensor | None = None,
    trace: Trace | None = None,
) -> SampledTokens:
    """The same with the number of tokens of each sample, for generators that learned several lengths, too."""
    if isinstance(sampler, str):
        sampler = named_sampler(sampler)
    classes = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels, dtype=np.int64)
    places = torch.as_tensor(np.arange(len(classes)) if indices is None else np.asarray(indices), dtype=torch.int64)
    check_request(generator, classes, places.numpy(), batch_size=1)
    device = next(generator.parameters()).device if isinstance(generator, torch.nn.Module) else torch.device("cpu")
    stream = CounterNoise(seed) if noise is None else noise
    return sample_tokens(
        generator, torch.from_numpy(classes).to(device), sampler, stream, places.to(device), trace=trace
    )


def named_sampler(name: str) -> Sampler:
    """The published settings of that name."""
    if name not in PUBLISHED_SAMPLERS:
        raise OptionError(f"sampler is {name!r}; allowed: {', '.join(PUBLISHED_SAMPLERS)}, or settings of your own")
    return PUBLISHED_SAMPLERS[name]
