"""Where latent tokens and the image look at each other: attention of an encoder's and a decoder's block, as maps.

A decoder is shown as in an official notebook (docs/adaptive_length.md): how much each position of the image looks at
a token, in the last block but one. Letters: B batch, K tokens of a code, G side of the grid of patches, P = G * G.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, cast

import torch
from torch import Tensor

from titok.models.backbone import Backbone
from titok.models.image_tokenizer import ImageTokenizer
from titok.models.transformer import Block


class AttentionMaps(NamedTuple):
    """Of one code of a batch, averaged over heads."""

    encoder: Tensor
    """(B, K, G, G): how much each token looks at each patch, in the last block."""
    decoder: Tensor
    """(B, K, G, G): how much each position looks at each token, in the last block but one (of one block, that one)."""


@torch.no_grad()
def attention_maps(model: ImageTokenizer, images: Tensor) -> list[AttentionMaps]:
    """Of ``images`` (B, 3, H, W): one for each code that the tokenizer makes of them (`ImageTokenizer.attending`), none
    where it has no latent tokens that look at patches.

    Each encoder or decoder has P patches after its class token, and its latent tokens after these.
    """
    if model.attending is None:
        return []
    encoder, decoder, side, run = model.attending
    with _watched(encoder, -1) as encoding, _watched(decoder, max(len(decoder.blocks) - 2, 0)) as decoding:
        run(images)
    places = side**2
    return [
        AttentionMaps(_maps(looks[:, 1 + places :, 1 : 1 + places]), _maps(seen[:, 1 : 1 + places, 1 + places :].mT))
        for looks, seen in zip(encoding, decoding, strict=True)
    ]


def _maps(rows: Tensor) -> Tensor:
    """(B, K, P) to (B, K, G, G)."""
    side = round(rows.shape[-1] ** 0.5)
    return rows.reshape(*rows.shape[:2], side, side)


@contextmanager
def _watched(backbone: Backbone, block: int) -> Iterator[list[Tensor]]:
    """Attention weights (B, N, N) of a block, one for each pass through it while the context lasts."""
    found: list[Tensor] = []
    attention = cast(Block, backbone.blocks[block]).attn
    hook = attention.register_forward_pre_hook(lambda module, given: found.append(module.weights(given[0])))
    try:
        yield found
    finally:
        hook.remove()
