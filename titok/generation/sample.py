"""Images for many labels, batch by batch, with the speed at which they came (specification 10.2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from titok.config.sampling import Sampler
from titok.errors import OptionError
from titok.generation.decode import Trace, decode_tokens
from titok.generation.guidance import TokenGenerator
from titok.generation.lengths import lengths_of, require_lengths
from titok.generation.noise import CounterNoise, NoiseStream

Detokenize = Callable[[Tensor, Tensor | None], Tensor]
"""Tokens (B, K) and how many of them each sample has (B,), None where all have K, to images (B, 3, H, W), values meant
for [0, 1] but not clamped."""


class SampledTokens(NamedTuple):
    """What a generator made."""

    values: Tensor
    """(B, K) int64. Of a sample with fewer than K, the rest is 0 and means nothing."""
    lengths: Tensor | None
    """(B,) int64, how many tokens each sample has; None: all have K."""


@dataclass(frozen=True)
class SampleBatch:
    """One batch of finished samples, on the host."""

    indices: np.ndarray
    """(B,) int64, the samples' places in the whole set; together with the seed they determine the noise."""
    labels: np.ndarray
    """(B,) int64."""
    images: np.ndarray
    """(B, H, W, 3) uint8."""
    seconds: float
    """From labels on the host to images on the host, de-tokenization included."""
    lengths: np.ndarray | None = None
    """(B,) int64, tokens of each sample; None: all have the same."""


def balanced_labels(num_samples: int, num_classes: int, *, allow_unbalanced: bool = False) -> np.ndarray:
    """Labels (N,) int64: the classes 0..C-1 in order, over and over, as the published 50 samples per class.

    ``allow_unbalanced`` lets the last round stop early instead of raising `OptionError`.
    """
    if num_samples % num_classes and not allow_unbalanced:
        raise OptionError(
            f"num_samples is {num_samples}, which {num_classes} classes do not divide evenly; take a multiple of "
            f"{num_classes}, or pass allow_unbalanced to have the first classes once more than the others"
        )
    return np.arange(num_samples, dtype=np.int64) % num_classes


def sample_images(
    generator: TokenGenerator,
    detokenize: Detokenize,
    labels: np.ndarray,
    sampler: Sampler,
    *,
    seed: int,
    batch_size: int,
    device: torch.device,
    indices: np.ndarray | None = None,
    noise: NoiseStream | None = None,
) -> Iterator[SampleBatch]:
    """Samples of the classes ``labels`` (N,), in order, ``batch_size`` at a time.

    ``indices`` (N,) are the samples' places in the whole set (default 0..N-1): a process that makes a part of it, or
    the rest after an interruption, passes the places of its part and gets the same images. The generator and the
    tokenizer are on ``device`` and in eval mode; an autocast context around the loop applies. ``noise``: another stream
    than that of ``seed`` and ``indices``.
    """
    indices = np.arange(len(labels)) if indices is None else indices
    check_request(generator, labels, indices, batch_size)
    stream = CounterNoise(seed) if noise is None else noise
    return (
        _sample_batch(generator, detokenize, labels[part], indices[part], sampler, stream, device)
        for part in (slice(start, start + batch_size) for start in range(0, len(labels), batch_size))
    )


def check_request(generator: TokenGenerator, labels: np.ndarray, indices: np.ndarray, batch_size: int) -> None:
    """Raises `OptionError` for a generator in training mode, unknown classes and places that do not fit."""
    if getattr(generator, "training", False):
        raise OptionError("the generator is in training mode, so dropout would disturb the samples; call eval() first")
    if batch_size < 1:
        raise OptionError(f"batch_size is {batch_size}; allowed: 1 or more")
    if indices.shape != labels.shape:
        raise OptionError(f"{len(labels)} labels but {len(indices)} indices; give one index per label")
    num_classes = generator.token_space.num_classes
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise OptionError(f"label {wrong[0]} is no class of this generator; allowed: 0 to {num_classes - 1}")
    require_lengths(generator, labels)


@torch.no_grad()
def sample_tokens(
    generator: TokenGenerator,
    labels: Tensor,
    sampler: Sampler,
    noise: NoiseStream,
    sample_indices: Tensor,
    trace: Trace | None = None,
) -> SampledTokens:
    """Tokens of the classes ``labels`` (B,), each sample with a length of its own if the generator knows several."""
    lengths = lengths_of(generator, labels, noise, sample_indices)
    return SampledTokens(decode_tokens(generator, labels, sampler, noise, sample_indices, trace, lengths), lengths)


@torch.no_grad()
def _sample_batch(
    generator: TokenGenerator,
    detokenize: Detokenize,
    labels: np.ndarray,
    indices: np.ndarray,
    sampler: Sampler,
    noise: NoiseStream,
    device: torch.device,
) -> SampleBatch:
    start = time.perf_counter()
    on_device = [torch.from_numpy(array.astype(np.int64)).to(device) for array in (labels, indices)]
    tokens = sample_tokens(generator, on_device[0], sampler, noise, on_device[1])
    images = detokenize(tokens.values, tokens.lengths)
    pixels = _to_uint8(images).cpu().numpy()  # waits for the device, so the clock may be read
    if not torch.isfinite(images).all():
        raise OptionError(
            f"samples {indices[0]} to {indices[-1]} contain values that are not finite; "
            f"check the weights, or sample without reduced precision"
        )
    lengths = None if tokens.lengths is None else tokens.lengths.cpu().numpy()
    return SampleBatch(indices, labels, pixels, time.perf_counter() - start, lengths)


def _to_uint8(images: Tensor) -> Tensor:
    """(B, 3, H, W) to (B, H, W, 3) uint8; 255 * x is cut off, not rounded, as in the published samples."""
    return (images.float().clamp(0, 1) * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
