"""Operations of ALIT at any size, counted as in `titok.models.flops`: per image, and of all lengths together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from titok.config.alit import AlitModel
from titok.models.flops import (
    abstractly,
    block_flops,
    of_part,
    pixel_decoder_flops,
    quantizer_flops,
    vqgan_encoder_flops,
)
from titok.models.operations import Flops
from titok.models.recurrent import LengthDecoder, RecurrentEncoder


def _without_blocks(config: AlitModel) -> AlitModel:
    return config.model_copy(update={"transformer": config.transformer.model_copy(update={"depth": 0})})


def _stack_flops(config: AlitModel, length: int) -> Flops:
    """All blocks of the encoder or the decoder once, over [class, grid, latents]."""
    size = config.transformer
    return block_flops(size.width, size.num_heads, size.mlp_ratio, 1 + config.grid_size**2 + length).times(size.depth)


def _encoder_flops(config: AlitModel, lengths: Sequence[int]) -> Flops:
    """The encoder's blocks once for every length; they are the same blocks each time."""
    stacks = [_stack_flops(config, length) for length in lengths]
    return _sum(stacks)._replace(parameters=stacks[0].parameters)


def _sum(parts: Sequence[Flops]) -> Flops:
    return sum(parts, Flops(0, 0))


@cache
def recurrent_encoder_flops(config: AlitModel) -> Flops:
    """The base's features and the image to latents of every length, before quantisation."""
    with abstractly():
        module = RecurrentEncoder(_without_blocks(config))
        images = torch.empty(1, 3, config.image_size, config.image_size)
        features = torch.empty(1, config.grid_size**2, config.vqgan.code_dim)

        def all_lengths() -> Tensor:
            state = module.first(features, images)
            found = [module(state).sum()]
            for _ in range(config.iterations - 1):
                state = module.next(state)
                found.append(module(state).sum())
            return torch.stack(found)

        return of_part(module, all_lengths) + _encoder_flops(config, config.lengths)


@cache
def length_encoder_flops(config: AlitModel, length: int) -> Flops:
    """The base's features and the image to the latents of one length, through the iterations before it."""
    with abstractly():
        module = RecurrentEncoder(_without_blocks(config))
        images = torch.empty(1, 3, config.image_size, config.image_size)
        features = torch.empty(1, config.grid_size**2, config.vqgan.code_dim, requires_grad=True)

        def one_length() -> Tensor:
            state = module.first(features, images)
            while module.latents(state).shape[1] < length:
                state = module.next(state)
            latents: Tensor = module(state)
            return latents

        return of_part(module, one_length) + _encoder_flops(config, [one for one in config.lengths if one <= length])


@cache
def length_decoder_flops(config: AlitModel, length: int) -> Flops:
    """Latents of one length to logits over the base's codes."""
    with abstractly():
        module = LengthDecoder(_without_blocks(config))
        latents = torch.empty(1, length, config.latent_dim, requires_grad=True)
        return of_part(module, lambda: module(latents)) + _stack_flops(config, length)


@cache
def all_decoders_flops(config: AlitModel) -> Flops:
    """The same of every length, one after the other."""
    return _sum([length_decoder_flops(config, length) for length in config.lengths])


@cache
def all_quantizers_flops(config: AlitModel) -> Flops:
    """Latents of every length to codes; nothing without a codebook."""
    if config.latents != "quantized":
        return Flops(0, 0)
    return _sum([quantizer_flops(config.codebook_size, config.code_dim, length) for length in config.lengths])


def alit_parts(config: AlitModel) -> dict[str, Flops]:
    """An ALIT by its boxes, an image with the longest code; as `titok.models.flops.tokenizer_parts` of a TiTok."""
    longest = config.num_latent_tokens
    parts = {
        "base": vqgan_encoder_flops(config.vqgan, config.image_size),
        "encoder": length_encoder_flops(config, longest),
        "decoder": length_decoder_flops(config, longest),
        "pixel_decoder": pixel_decoder_flops(config.vqgan, config.grid_size**2),
    }
    if config.latents == "quantized":
        parts["quantizer"] = quantizer_flops(config.codebook_size, config.code_dim, longest)
    return parts
