"""The released generators: their sizes, their configs and the names of their weights (specification 4).

`from_published` and `to_published` turn state_dicts into ours and back. Apart from names they rearrange one thing:
BERT keeps query, key and value apart, our blocks hold them as one matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from titok.config.generator_model import GeneratorModel
from titok.models.published import PublishedFormatError

PUBLISHED_GENERATORS: dict[str, GeneratorModel] = {
    "titok-l-32": GeneratorModel(kind="vit", width=768, depth=24, num_heads=16, num_tokens=32),
    "titok-b-64": GeneratorModel(kind="vit", width=768, depth=24, num_heads=16, num_tokens=64),
    "titok-s-128": GeneratorModel(kind="uvit", width=1024, depth=20, num_heads=16, num_tokens=128),
}
"""The generators behind the published gFIDs of 2.77, 2.48 and 1.97."""

Names = tuple[str, tuple[str, ...]]
"""(our name, the published one, or those whose tensors are stacked into ours)."""

_VIT_TABLES = {
    "token_embedding.weight": "model.embeddings.word_embeddings.weight",
    "position_embedding": "model.embeddings.position_embeddings.weight",
    "token_type_embedding": "model.embeddings.token_type_embeddings.weight",
}
_VIT_LAYERS = {"norm": "model.embeddings.LayerNorm", "head": "model.lm_head"}
_VIT_BLOCK_LAYERS = {
    "attn.proj": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
    "norm2": "output.LayerNorm",
}
_VIT_PACKED = ("query", "key", "value")
_UVIT_TABLES = {"token_embedding.weight": "embeddings.weight", "position_embedding": "pos_embed"}
_UVIT_LAYERS = {"norm": "norm", "head": "lm_head"}
_UVIT_BLOCK_LAYERS = ("norm1", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")


def from_published(state: Mapping[str, Tensor], config: GeneratorModel) -> dict[str, Tensor]:
    """Our state_dict for a released generator's.

    Raises `PublishedFormatError` when ``state`` lacks a weight of ``config`` or has one that it has no place for.
    """
    rest = dict(state)
    named: dict[str, Tensor] = {}
    for ours, theirs in parameter_names(config):
        parts = [_take(rest, name, config) for name in theirs]
        named[ours] = parts[0] if len(parts) == 1 else torch.cat(parts)
    _refuse_leftovers(rest, config)
    return named


def to_published(state: Mapping[str, Tensor], config: GeneratorModel) -> dict[str, Tensor]:
    """A released generator's state_dict for ours: the inverse of `from_published`, with the same errors."""
    rest = dict(state)
    named: dict[str, Tensor] = {}
    for ours, theirs in parameter_names(config):
        parts = _take(rest, ours, config).chunk(len(theirs))
        named.update(zip(theirs, (part.contiguous() for part in parts), strict=True))
    _refuse_leftovers(rest, config)
    return named


def generator_model(published: Mapping[str, Any]) -> GeneratorModel:
    """Settings for a released config file, given whole and as plain data."""
    try:
        section = published["model"]["generator"]
        return GeneratorModel(
            kind=section["model_type"].lower(),
            width=section["hidden_size"],
            depth=section["num_hidden_layers"],
            num_heads=section["num_attention_heads"],
            mlp_ratio=section["intermediate_size"] / section["hidden_size"],
            dropout=section["dropout"],
            class_dropout_prob=section["class_label_dropout"],
            num_tokens=section["image_seq_len"],
            codebook_size=published["model"]["vq_model"]["codebook_size"],
            num_classes=section["condition_num_classes"],
        )
    except KeyError as missing:
        raise PublishedFormatError(
            f"the config has no key {missing}; expected a released generation config with the sections model.generator "
            f"and model.vq_model"
        ) from missing


def config_to_published(config: GeneratorModel) -> dict[str, Any]:
    """The released ``config.json`` of a generator, the inverse of `generator_model`.

    Raises `PublishedFormatError` for what the released layout cannot say.
    """
    if config.has_lengths:
        raise PublishedFormatError(
            "has_lengths is true, which the released settings cannot say; released generators have one length"
        )
    section = {
        "model_type": {"vit": "ViT", "uvit": "UViT"}[config.kind],
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.num_heads,
        "intermediate_size": round(config.width * config.mlp_ratio),
        "dropout": config.dropout,
        "attn_drop": config.dropout,
        "class_label_dropout": config.class_dropout_prob,
        "image_seq_len": config.num_tokens,
        "condition_num_classes": config.num_classes,
    }
    vq_model = {"codebook_size": config.codebook_size, "num_latent_tokens": config.num_tokens}
    return {"model": {"vq_model": vq_model, "generator": section}}


def parameter_names(config: GeneratorModel) -> Iterator[Names]:
    """Every parameter of the generator: our name and the published one (or three, for the vit's packed matrices)."""
    yield from _vit_names(config.depth) if config.kind == "vit" else _uvit_names(config.depth // 2)


def _vit_names(depth: int) -> Iterator[Names]:
    yield from _tables(_VIT_TABLES)
    yield from _affine(_VIT_LAYERS)
    for index in range(depth):
        ours, theirs = f"blocks.{index}", f"model.encoder.layer.{index}"
        for kind in ("weight", "bias"):
            yield f"{ours}.attn.qkv.{kind}", tuple(f"{theirs}.attention.self.{part}.{kind}" for part in _VIT_PACKED)
        yield from _affine({f"{ours}.{a}": f"{theirs}.{b}" for a, b in _VIT_BLOCK_LAYERS.items()})


def _uvit_names(half: int) -> Iterator[Names]:
    yield from _tables(_UVIT_TABLES)
    yield from _affine(_UVIT_LAYERS)
    sides = [f"{side}.{index}" for side in ("in_blocks", "out_blocks") for index in range(half)]
    for block in ("mid_block", *sides):
        yield f"{block}.attn.qkv.weight", (f"{block}.attn.qkv.weight",)
        yield from _affine({f"{block}.{layer}": f"{block}.{layer}" for layer in _UVIT_BLOCK_LAYERS})
    yield from _affine({f"skip_linears.{index}": f"out_blocks.{index}.skip_linear" for index in range(half)})


def _tables(names: Mapping[str, str]) -> Iterator[Names]:
    for ours, theirs in names.items():
        yield ours, (theirs,)


def _affine(layers: Mapping[str, str]) -> Iterator[Names]:
    """Weight and bias of layers."""
    for ours, theirs in layers.items():
        for kind in ("weight", "bias"):
            yield f"{ours}.{kind}", (f"{theirs}.{kind}",)


def _take(state: dict[str, Tensor], key: str, config: GeneratorModel) -> Tensor:
    """Removes and returns one entry."""
    if key not in state:
        raise PublishedFormatError(
            f"the state_dict has no {key!r}, which a {config.kind} generator of depth {config.depth} needs; check that "
            f"the weights belong to this config, and to a generator instead of a tokenizer"
        )
    return state.pop(key)


def _refuse_leftovers(state: Mapping[str, Tensor], config: GeneratorModel) -> None:
    if state:
        raise PublishedFormatError(
            f"the state_dict has {len(state)} entries that a {config.kind} generator of depth {config.depth} has no "
            f"place for, the first is {next(iter(state))!r}; check that the weights belong to this config"
        )
