"""Attention as maps: what the blocks themselves compute, cut to tokens and patches.

Run: pytest tests/models/test_attention_maps.py
"""

from __future__ import annotations

import pytest
import torch
from models.alit_toys import alit, alit_images
from training import tiny

from titok.models.attention_maps import attention_maps
from titok.models.tokenizer import TiTok
from titok.models.transformer import Attention


@pytest.mark.parametrize("heads", [1, 2])
def test_weights_are_those_of_the_forward_pass(heads: int) -> None:
    """Where values are the tokens themselves, and alike in all heads, the heads' mean is what the weights mix."""
    torch.manual_seed(0)
    attention, part = Attention(8, heads), 8 // heads
    x = torch.randn(2, 5, part).repeat(1, 1, heads)
    with torch.no_grad():
        attention.qkv.weight[16:] = attention.proj.weight.copy_(torch.eye(8))
        attention.qkv.bias[16:] = attention.proj.bias.zero_()
    weights = attention.weights(x)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 5))
    mixed = attention(x).reshape(2, 5, heads, part).mean(dim=2)
    torch.testing.assert_close(mixed, weights @ x[..., :part])


def test_an_alit_has_maps_at_every_length_and_is_left_as_it_was() -> None:
    model, images = alit(), alit_images(2)
    before = model.tokenize(images).values
    found = attention_maps(model, images)
    side = model.config.grid_size
    assert [maps.encoder.shape for maps in found] == [(2, k, side, side) for k in model.config.lengths]
    assert [maps.decoder.shape for maps in found] == [(2, k, side, side) for k in model.config.lengths]
    assert torch.equal(model.tokenize(images).values, before)
    assert not any(block.attn._forward_pre_hooks for block in (*model.encoder.blocks, *model.decoder.blocks))


def test_maps_are_of_tokens_over_patches_in_raster_order() -> None:
    """By hand, of a TiTok: its last block's weights, tokens' rows and patches' columns after the class token."""
    torch.manual_seed(0)
    model = TiTok(tiny.tokenizer(num_latent_tokens=3)).eval()
    images = torch.rand(2, 3, model.config.image_size, model.config.image_size)
    (found,) = attention_maps(model, images)
    inputs = []
    model.encoder.blocks[-1].attn.register_forward_pre_hook(lambda module, given: inputs.append(given[0]))
    model.encode(images)
    weights = model.encoder.blocks[-1].attn.weights(inputs[0])
    side = model.config.grid_size
    for token in range(3):
        row = weights[:, 1 + side**2 + token, 1 : 1 + side**2]
        torch.testing.assert_close(found.encoder[:, token], row.reshape(2, side, side))
    decoding = []
    block = model.decoder.blocks[max(len(model.decoder.blocks) - 2, 0)]
    block.attn.register_forward_pre_hook(lambda module, given: decoding.append(module.weights(given[0])))
    model.decoder(model.quantize(model.encode(images)).z_quantized)
    column = decoding[0][:, 1 : 1 + side**2, 1 + side**2 + 2]
    torch.testing.assert_close(found.decoder[:, 2], column.reshape(2, side, side))
