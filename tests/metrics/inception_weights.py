"""InceptionV3's weights made by rule, as the golden numbers' were."""

from __future__ import annotations

from pathlib import Path

import torch
from golden.rule import load_golden, rule_state_dict


def rule_inception(path: Path) -> Path:
    """Writes them as the FID network's file of weights."""
    golden = load_golden("evaluator_inception")
    shapes = {key: tuple(entry["shape"]) for key, entry in golden.keys.items() if not entry.get("buffer")}
    state = rule_state_dict(shapes, golden.multipliers)
    for key, entry in golden.keys.items():
        if entry.get("buffer"):
            constant = 1 if key.endswith("running_var") else 0
            dtype = torch.int64 if key.endswith("num_batches_tracked") else torch.float32
            state[key] = torch.full(entry["shape"], constant, dtype=dtype)
    torch.save(state, path)
    return path
