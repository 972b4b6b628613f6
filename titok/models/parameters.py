"""How many parameters a model has."""

from __future__ import annotations

from torch import nn


def count_parameters(module: nn.Module) -> int:
    """All parameters, trained and frozen; buffers are none."""
    return sum(parameter.numel() for parameter in module.parameters())
