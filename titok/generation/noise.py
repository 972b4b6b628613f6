"""Random numbers for sampling that belong to a sample, not to a batch.

Each draw is a function of (seed, sample index, step, kind, element), computed with the counter-based generator
Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). A sample therefore sees the same
noise in any batch, in any order, on any device, and after any restart.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Protocol

import torch
from torch import Tensor

_MASK32 = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_MAX_STEPS = 1 << 31
LAST_STEP = _MAX_STEPS - 1
"""No sampler has so many steps: what is drawn once for a sample is drawn there, and shares no number with any step."""


class NoiseKind(IntEnum):
    """What a draw is for; different kinds never share numbers."""

    TOKEN = 0
    """On the logits, shape (K, V) per sample: which token."""
    CONFIDENCE = 1
    """On the confidences, shape (K,) per sample: which positions are kept."""


class NoiseStream(Protocol):
    """A source of uniform numbers for `decode_tokens`."""

    def uniform(self, sample_indices: Tensor, step: int, kind: NoiseKind, shape: tuple[int, ...]) -> Tensor:
        """Numbers (B, *shape) float32 in [0, 1) for the samples ``sample_indices`` (B,), on their device."""
        ...


class CounterNoise:
    """The noise of a sampling run; ``seed`` is any integer, of which 64 bits count."""

    def __init__(self, seed: int) -> None:
        self.key = (seed & _MASK32, (seed >> 32) & _MASK32)

    def uniform(self, sample_indices: Tensor, step: int, kind: NoiseKind, shape: tuple[int, ...]) -> Tensor:
        """As `NoiseStream.uniform`: multiples of 2**-24, each as likely as any other."""
        if not 0 <= step < _MAX_STEPS:
            raise ValueError(f"step is {step}; allowed: 0 to {_MAX_STEPS - 1}")
        num_elements = math.prod(shape)
        blocks = torch.arange(-(-num_elements // 4), device=sample_indices.device)
        samples = sample_indices.to(torch.int64)[:, None]
        lane = torch.full_like(blocks, 2 * step + int(kind))
        counter = (blocks, lane, samples & _MASK32, (samples >> 32) & _MASK32)
        words = torch.stack(philox4x32(counter, self.key), dim=-1).flatten(1)[:, :num_elements]
        return (words >> 8).to(torch.float32).mul_(2.0**-24).reshape(len(samples), *shape)


class DeviceNoise:
    """torch's generator on ``device``, as in the official loop: one kernel a draw, where `CounterNoise` takes 137.

    Numbers depend on the batch and on all draws before, so this is for timing, not for samples that anyone keeps.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._generator = torch.Generator(device).manual_seed(seed)

    def uniform(self, sample_indices: Tensor, step: int, kind: NoiseKind, shape: tuple[int, ...]) -> Tensor:
        """As `NoiseStream.uniform`, on the generator's device."""
        size = (len(sample_indices), *shape)
        return torch.rand(size, generator=self._generator, device=self._generator.device)


def philox4x32(
    counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Philox4x32-10: four 32-bit words of noise per counter, all held in int64 tensors.

    The four counter tensors (values in [0, 2**32)) broadcast against each other; so do the results.
    """
    c0, c1, c2, c3 = torch.broadcast_tensors(*counter)
    k0, k1 = key
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(c0, _MULTIPLIERS[0])
        high1, low1 = _multiply(c2, _MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _WEYL[0]) & _MASK32, (k1 + _WEYL[1]) & _MASK32
    return c0, c1, c2, c3


def _multiply(word: Tensor, multiplier: int) -> tuple[Tensor, Tensor]:
    """High and low 32 bits of a 32 x 32 bit product.

    The product may pass 2**63 and wrap into the sign of int64; its 64 bits are right all the same, and the mask
    after the (arithmetic) shift takes the copies of the sign bit away.
    """
    product = word * multiplier
    return (product >> 32) & _MASK32, product & _MASK32


def gumbel(uniform: Tensor) -> Tensor:
    """Gumbel noise from uniform numbers in [0, 1) (any shape), with the released code's guards against log(0)."""
    return -torch.log(torch.clamp(-torch.log(torch.clamp(uniform, min=1e-20)), min=1e-20))
