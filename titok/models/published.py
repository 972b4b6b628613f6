"""The released TiTok checkpoints: their parameter names, their configuration, and the one quirk of their encoder.

The VQGAN here carries the published names itself (`encoder.*`, `decoder.*`, `quantize.embedding.weight`); only TiTok's
transformers are named differently. One table serves both directions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from titok.config.model import PUBLISHED_SIZES, TokenizerModel, TransformerSize, VQGANModel
from titok.errors import TitokError

_TRANSFORMER = re.compile(r"^(encoder|decoder)\.")
"""Keys that the table applies to: TiTok's own transformers, not `pixel_decoder.` or `quantize.`."""

BLOCK_NAMES = (
    (".ln_1.", ".norm1."),
    (".ln_2.", ".norm2."),
    (".attn.in_proj_", ".attn.qkv."),
    (".attn.out_proj.", ".attn.proj."),
    (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
)
"""(fragment of official checkpoints, ours) within a transformer's block."""

_NAMES = (
    (".ln_pre.", ".norm_pre."),
    (".ln_post.", ".norm_post."),
    (".transformer.", ".blocks."),
    *BLOCK_NAMES,
    ("encoder.conv_out.", "encoder.to_latent."),
    ("decoder.ffn.", "decoder.head."),
)
"""(published fragment, our fragment)."""

_POINTWISE = re.compile(r"^(encoder\.to_latent|decoder\.head\.\d)\.weight$")
"""Our linear layers that are 1x1 convolutions there: the weight has two more dimensions of size 1."""

_SETTINGS = {
    "quantize_mode": "kind",
    "codebook_size": "codebook_size",
    "token_size": "code_dim",
    "use_l2_norm": "use_l2_norm",
    "commitment_cost": "commitment_weight",
    "num_latent_tokens": "num_latent_tokens",
    "vit_enc_patch_size": "patch_size",
}
"""Settings that only have another name: published, ours."""


class PublishedFormatError(TitokError, ValueError):
    """Weights or settings that the published format cannot express, or that would silently change its results."""


def interleaved(latents: Tensor) -> Tensor:
    """The published two-stage encoders' reshape of latents (B, K, D), which mixes all latent tokens.

    Each sample's K x D numbers are read in memory order as a D x K matrix whose columns become the output tokens:
    channel c of token n is number c * K + n. A transposition was probably meant, but the weights depend on it
    (specification 1.2, step 8).
    """
    batch, num_latent_tokens, width = latents.shape
    return latents.reshape(batch, width, num_latent_tokens).transpose(1, 2)


def config_from_published(published: Mapping[str, Any]) -> TokenizerModel:
    """The settings in a released ``config.json`` (``model.vq_model`` and ``dataset.preprocessing.crop_size``).

    Absent switches have the released code's defaults: vq, legacy, fine-tuned decoder (specification 1.1).
    """
    model = published["model"]["vq_model"]
    legacy, finetuned = model.get("is_legacy", True), model.get("finetune_decoder", True)
    if finetuned and not legacy:
        raise PublishedFormatError(
            "finetune_decoder is true but is_legacy is false; the pixel decoder only understands the legacy head. "
            "Two-stage models are legacy, single-stage ones set both to false"
        )
    if model["vit_enc_patch_size"] != model["vit_dec_patch_size"]:
        raise PublishedFormatError(
            f"vit_enc_patch_size is {model['vit_enc_patch_size']} but vit_dec_patch_size is "
            f"{model['vit_dec_patch_size']}; they must be equal"
        )
    names = {ours: model[theirs] for theirs, ours in _SETTINGS.items() if theirs in model}
    return TokenizerModel(
        head="proxy_codes" if legacy else "pixels",
        pixel_lookup="soft" if finetuned else "argmax",
        image_size=published["dataset"]["preprocessing"]["crop_size"],
        encoder=_size(model["vit_enc_model_size"]),
        decoder=_size(model["vit_dec_model_size"]),
        latent_layout="interleaved" if legacy else "per_token",
        vqgan=VQGANModel() if legacy else None,
        **names,
    )


def config_to_published(config: TokenizerModel) -> dict[str, Any]:
    """The released ``config.json`` of a TiTok, the inverse of `config_from_published`."""
    _check_layout(config)
    if config.tail_drop != "off":
        raise PublishedFormatError(
            f"tail_drop is {config.tail_drop!r}, which the released settings cannot say; the released class decodes "
            f"codes of all tokens alone"
        )
    if config.fsq_levels:
        raise PublishedFormatError(f"fsq_levels is {list(config.fsq_levels)}; the released class knows a codebook only")
    legacy = config.head == "proxy_codes"
    model = {theirs: getattr(config, ours) for theirs, ours in _SETTINGS.items()}
    model |= {
        "vit_dec_patch_size": config.patch_size,
        "vit_enc_model_size": _size_name(config.encoder),
        "vit_dec_model_size": _size_name(config.decoder),
        "is_legacy": legacy,
        "finetune_decoder": legacy and config.pixel_lookup == "soft",
    }
    return {"model": {"vq_model": model}, "dataset": {"preprocessing": {"crop_size": config.image_size}}}


def _size(name: str) -> TransformerSize:
    if name not in PUBLISHED_SIZES:
        raise PublishedFormatError(f"the transformer size is {name!r}; known sizes: {', '.join(PUBLISHED_SIZES)}")
    return PUBLISHED_SIZES[name]


def _size_name(size: TransformerSize) -> str:
    """The released name of the shape; how fresh weights would be drawn is no part of it."""
    shape = ("width", "depth", "num_heads", "mlp_ratio")
    for name, published in PUBLISHED_SIZES.items():
        if all(getattr(published, key) == getattr(size, key) for key in shape):
            return name
    raise PublishedFormatError(f"{size!r} has no published name; published sizes: {', '.join(PUBLISHED_SIZES)}")


def from_published(state: Mapping[str, Tensor], config: TokenizerModel) -> dict[str, Tensor]:
    """Our state_dict of a TiTok from a released one; tensors are shared, not copied.

    Raises `PublishedFormatError` when ``config`` would read the weights wrongly without any other error.
    """
    _check_layout(config)
    renamed = {_rename(key, 0, 1): tensor for key, tensor in state.items()}
    return {key: tensor.flatten(1) if _POINTWISE.match(key) else tensor for key, tensor in renamed.items()}


def to_published(state: Mapping[str, Tensor], config: TokenizerModel) -> dict[str, Tensor]:
    """The released format of our TiTok's state_dict, the inverse of `from_published`."""
    _check_layout(config)
    return {
        _rename(key, 1, 0): tensor[:, :, None, None] if _POINTWISE.match(key) else tensor
        for key, tensor in state.items()
    }


def _check_layout(config: TokenizerModel) -> None:
    if config.latents != "tokens":
        raise PublishedFormatError(
            f"latents is {config.latents!r}; released tokenizers have learned latent tokens only"
        )
    if config.codes_per_patch != 1:
        raise PublishedFormatError(
            f"codes_per_patch is {config.codes_per_patch}, but the released decoder predicts one code per patch; "
            f"set codes_per_patch: 1"
        )
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
