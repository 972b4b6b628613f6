"""How many parameters a model has."""

from __future__ import annotations

from torch import nn


def count_parameters(module: nn.Module) -> int:
    """All parameters, trained and frozen; buffers are none."""
    return sum(parameter.numel() for parameter in module.parameters())


def tokenizer_parameters(model: nn.Module) -> dict[str, float]:
    """Of the whole model and, where it has such parts, of encoder and decoder."""
    parts = {"": model, "encoder_": getattr(model, "encoder", None), "decoder_": getattr(model, "decoder", None)}
    found = {name: part for name, part in parts.items() if isinstance(part, nn.Module)}
    return {f"{name}parameters": float(count_parameters(part)) for name, part in found.items()}
