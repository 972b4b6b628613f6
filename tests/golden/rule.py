"""Golden numbers of the official code; their weights and inputs are made by the rule of ``titok.runtime.rule``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from titok.runtime.rule import block_image, noise_image, rule_state_dict, rule_tensor

__all__ = [
    "HERE",
    "Golden",
    "block_image",
    "load_golden",
    "noise_image",
    "rule_state_dict",
    "rule_tensor",
    "standard_batch",
]

HERE = Path(__file__).parent


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
