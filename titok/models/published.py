"""The released TiTok checkpoints: their parameter names, their configuration, and the one quirk of their encoder.

The VQGAN here carries the published names itself (`encoder.*`, `decoder.*`, `quantize.embedding.weight`); only TiTok's
transformers are named differently. One table serves both directions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from titok.config.model import TokenizerModel

_TRANSFORMER = re.compile(r"^(encoder|decoder)\.")
"""Keys that the table applies to: TiTok's own transformers, not `pixel_decoder.` or `quantize.`."""

_NAMES = (
    (".ln_pre.", ".norm_pre."),
    (".ln_post.", ".norm_post."),
    (".transformer.", ".blocks."),
    (".ln_1.", ".norm1."),
    (".ln_2.", ".norm2."),
    (".attn.in_proj_", ".attn.qkv."),
    (".attn.out_proj.", ".attn.proj."),
    (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
    ("encoder.conv_out.", "encoder.to_latent."),
    ("decoder.ffn.", "decoder.head."),
)
"""(published fragment, our fragment)."""

_POINTWISE = re.compile(r"^(encoder\.to_latent|decoder\.head\.\d)\.weight$")
"""Our linear layers that are 1x1 convolutions there: the weight has two more dimensions of size 1."""


class PublishedFormatError(ValueError):
    """Weights or settings that the published format cannot express, or that would silently change its results."""


def interleaved(latents: Tensor) -> Tensor:
    """The published two-stage encoders' reshape of latents (B, K, D), which mixes all latent tokens.

    Each sample's K x D numbers are read in memory order as a D x K matrix whose columns become the output tokens:
    channel c of token n is number c * K + n. A transposition was probably meant, but the weights depend on it
    (specification 1.2, step 8).
    """
    batch, num_latent_tokens, width = latents.shape
    return latents.reshape(batch, width, num_latent_tokens).transpose(1, 2)


def from_published(state: Mapping[str, Tensor], config: TokenizerModel) -> dict[str, Tensor]:
    """Our state_dict of a TiTok from a released one; tensors are shared, not copied.

    Raises `PublishedFormatError` when ``config`` would read the weights wrongly without any other error.
    """
    _check_layout(config)
    return {_rename(key, 0, 1): _flatten(_rename(key, 0, 1), tensor) for key, tensor in state.items()}


def to_published(state: Mapping[str, Tensor], config: TokenizerModel) -> dict[str, Tensor]:
    """The released format of our TiTok's state_dict, the inverse of `from_published`."""
    _check_layout(config)
    return {
        _rename(key, 1, 0): tensor[:, :, None, None] if _POINTWISE.match(key) else tensor
        for key, tensor in state.items()
    }


def _check_layout(config: TokenizerModel) -> None:
    expected = "interleaved" if config.head == "proxy_codes" else "per_token"
    if config.latent_layout != expected:
        raise PublishedFormatError(
            f"latent_layout is {config.latent_layout!r}, but published models with head {config.head!r} use "
            f"{expected!r} and would give wrong tokens without any error; set latent_layout: {expected}"
        )


def _rename(key: str, source: int, target: int) -> str:
    if not _TRANSFORMER.match(key):
        return key
    for names in _NAMES:
        key = key.replace(names[source], names[target])
    return key


def _flatten(key: str, tensor: Tensor) -> Tensor:
    return tensor.flatten(1) if _POINTWISE.match(key) else tensor
