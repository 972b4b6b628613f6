"""Weights and images made by rule, so that numbers of the released code can be checked without weight files.

Every parameter is drawn from a generator seeded by the CRC-32 of its *released* state_dict key, then scaled by its
fan-in (specification 12). ``titok doctor`` and the tests' golden numbers are made with it.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch


def rule_tensor(key: str, shape: tuple[int, ...], multipliers: dict[str, float] | None = None) -> torch.Tensor:
    """The rule-made float32 value of the parameter with the official state_dict key ``key``."""
    draws = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(
        math.prod(shape), dtype=np.float32
    )
    if key.endswith("quantize.embedding.weight"):
        values = draws
    elif len(shape) <= 1 and key.endswith("weight"):
        values = 1 + np.float32(0.02) * draws
    elif len(shape) <= 1:
        values = np.float32(0.02) * draws
    elif key.endswith("pos_embed"):
        values = draws * np.float32(1 / math.sqrt(shape[-1]))
    else:
        values = draws * np.float32(1 / math.sqrt(math.prod(shape[1:])))
    for suffix, factor in (multipliers or {}).items():
        if key.endswith(suffix):
            values = values * np.float32(factor)
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def rule_state_dict(
    shapes: dict[str, tuple[int, ...]], multipliers: dict[str, float] | None = None
) -> dict[str, torch.Tensor]:
    """Rule-made values for a whole official state_dict (keys with their shapes)."""
    return {key: rule_tensor(key, tuple(shape), multipliers) for key, shape in shapes.items()}


def noise_image(seed: int) -> np.ndarray:
    """(3, 256, 256) float32 uniform noise."""
    return np.random.Generator(np.random.PCG64(seed)).random((3, 256, 256), dtype=np.float32)


def block_image(seed: int, side: int = 8) -> np.ndarray:
    """(3, 256, 256) float32: ``side`` x ``side`` random blocks."""
    small = np.random.Generator(np.random.PCG64(seed)).random((3, side, side), dtype=np.float32)
    return small.repeat(256 // side, axis=1).repeat(256 // side, axis=2)
