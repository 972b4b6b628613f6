"""What makes steps faster or smaller without changing what they compute: see ``titok.config.training.Compute``."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from titok.config.training import Compute
from titok.losses.perceptual import Frozen
from titok.models.classifier import Classifier
from titok.models.decoder import Decoder
from titok.models.encoder import Encoder
from titok.models.generator import MaskGIT
from titok.models.transformer import TransformerBlock
from titok.models.vqgan import VQGANDecoder, VQGANEncoder

_COMPILED = (Encoder, Decoder, VQGANEncoder, VQGANDecoder, MaskGIT, Classifier)
"""Modules that tasks call as a whole. The discriminator is not among them: it is called with other parameters, too."""


def prepare_modules(task: nn.Module, compute: Compute) -> None:
    """Switches on, in all parts of ``task``, what the settings ask for; state dicts keep their keys."""
    if compute.channels_last:
        task.to(memory_format=torch.channels_last)
    for module in _modules(task):
        if isinstance(module, TransformerBlock):
            module.recompute = compute.activation_checkpointing
        if compute.compile and isinstance(module, _COMPILED):
            module.compile()


def _modules(task: nn.Module) -> Iterator[nn.Module]:
    """All modules, also those of frozen networks, which hide from ``modules``."""
    for module in task.modules():
        yield module
        if isinstance(module, Frozen):
            yield from module.network.modules()
