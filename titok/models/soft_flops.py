"""Operations of a frozen encoder and of the decoder on its tokens, counted as `titok.models.flops` does."""

from __future__ import annotations

import torch

from titok.config.soft_tokens import SoftModel
from titok.models.flops import abstractly, count, decoder_flops
from titok.models.operations import Flops
from titok.models.parameters import count_parameters
from titok.models.soft_tokenizer import build_encoder


def soft_parts(config: SoftModel) -> dict[str, Flops]:
    """Both parts; nobody trains the encoder, so its way back counts as nothing."""
    with abstractly():
        encoder = build_encoder(config.encoder).eval()
        images = torch.empty(1, 3, config.image_size, config.image_size)
        with torch.no_grad():
            forward = count(lambda: encoder(images))
        frozen = Flops(forward, forward, count_parameters(encoder))
    return {"encoder": frozen, "decoder": decoder_flops(config.of_decoder(), trained_before=False)}


def soft_step(config: SoftModel) -> tuple[int, int]:
    """Of a training step per image: the frozen encoder, and the decoder that learns."""
    parts = soft_parts(config)
    return parts["encoder"].forward, parts["decoder"].training
