"""Weights and inputs made by rule, so that golden numbers of the official code need no weight files.

The rule and its reasons: ``TOKEN_RULE.md`` of the project's specification. In short: every parameter is drawn from
a generator seeded by the CRC-32 of its *official* state_dict key, then scaled by its fan-in.
"""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).parent


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


def standard_batch(real_u8: np.ndarray, block_seed: int = 1235, block_side: int = 8) -> torch.Tensor:
    """The four standard images (4, 3, 256, 256) in [0, 1]: noise, blocks, two photographs (uint8 HWC)."""
    real = real_u8.astype(np.float32).transpose(0, 3, 1, 2) / np.float32(255)
    return torch.from_numpy(np.concatenate([np.stack([noise_image(1234), block_image(block_seed, block_side)]), real]))


@dataclass(frozen=True)
class Golden:
    """One folder of golden arrays; ``keys`` maps official parameter names to shape, dtype and CRC-32."""

    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    keys: dict[str, Any]
    multipliers: dict[str, float]
    extra: dict[str, Any]


def load_golden(name: str) -> Golden:
    """Reads ``tests/golden/<name>``; parts that a folder does not have are empty."""
    folder = HERE / name
    if not folder.is_dir():
        raise FileNotFoundError(f"no golden folder {folder}")

    def arrays(file: str) -> dict[str, np.ndarray]:
        return dict(np.load(folder / file)) if (folder / file).exists() else {}

    def document(file: str) -> dict[str, Any]:
        return json.loads((folder / file).read_text()) if (folder / file).exists() else {}

    return Golden(
        inputs=arrays("inputs.npz"),
        outputs=arrays("outputs.npz"),
        keys=document("keys.json"),
        multipliers=document("rule.json").get("multipliers_by_suffix", {}),
        extra=document("extra.json"),
    )
