"""A vision transformer of timm as the weights of a TiTok's encoder: the same computation under our names.

Both are pre-norm transformers whose blocks have the same names. What differs is folded in, exactly: timm's networks see
normalised pixels and some scale what a layer adds. What ours has beside (latent tokens, the way down to their latents)
no such network has. Not the same are details that no weight says: QuickGELU of OpenAI's CLIP, which ours computes as
GELU, and the last digits of norms. Letters: D width, P patches.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from titok.models.tokenizer import TiTok
from titok.runtime.weights import WeightsError

_MAY_BE_ABSENT = ("latent_token_positional_embedding", "to_latent", "norm_pre")
"""Of our encoder, what no such network has; the first norm some have."""
_UNUSED = ("head.", "fc_norm.", "attn_pool.", "reg_token")
"""Of theirs, what comes after the tokens, and registers, of which ours has none."""
_SCALED = {"ls1": "attn.proj", "ls2": "mlp.fc2"}


class Given(NamedTuple):
    """What a network gives a tokenizer."""

    weights: dict[str, Tensor]
    """By the tokenizer's names."""
    absent: tuple[str, ...]
    """Parts of the tokenizer that such a network has not: all but the encoder, and some of that."""


def for_encoder_of(model: nn.Module, network: Any, mean: list[float], std: list[float], where: str) -> Given:
    """What a network of timm gives the encoder of a TiTok; see `as_encoder`.

    Raises:
        WeightsError: the model is no TiTok, or has fewer blocks; or as `as_encoder`.
    """
    if not isinstance(model, TiTok):
        raise WeightsError(f"encoder_init is for a TiTok, and this is a {type(model).__name__}; remove it")
    found = as_encoder(network, mean, std, model.config.encoder.num_heads, where)
    weights, wanted = {f"encoder.{name}": value for name, value in found.items()}, model.state_dict()
    idle = [name for name in weights if ".blocks." in name and name not in wanted]
    if idle:
        raise WeightsError(f"{where} has {idle[0]}, and the encoder has not; give its size as many blocks (depth)")
    others = sorted({name.split(".")[0] for name in wanted} - {"encoder"})
    beside = [part for part in (f"encoder.{name}" for name in _MAY_BE_ABSENT) if not _has(weights, part)]
    return Given(weights, (*others, *(part for part in beside if _has(wanted, part))))


def _has(state: dict[str, Any], part: str) -> bool:
    return any(name == part or name.startswith(f"{part}.") for name in state)


def as_encoder(network: Any, mean: list[float], std: list[float], num_heads: int, where: str) -> dict[str, Tensor]:
    """Names below `encoder.` -> tensors, as far as the network has them.

    Args:
        network: of timm, a VisionTransformer.
        mean: of the pixels that it is used to, per colour.
        std: the same.
        num_heads: of our encoder: equal shapes do not show them.
        where: what the network is called in messages.

    Raises:
        WeightsError: it is no plain vision transformer, or has another number of heads.
    """
    blocks = getattr(network, "blocks", None)
    heads = getattr(getattr(blocks[0] if blocks else None, "attn", None), "num_heads", None)
    if heads is None or not hasattr(network, "patch_embed"):
        raise WeightsError(
            f"{where} is no vision transformer; encoder_init takes one, as vit-b of config/encoders.yaml"
        )
    if heads != num_heads:
        raise WeightsError(f"{where} has {heads} attention heads, the encoder {num_heads}; set num_heads: {heads}")
    state = {name: value.clone() for name, value in network.state_dict().items() if not name.startswith(_UNUSED)}
    _fold_scales(state)
    found = _embeddings(state, torch.tensor(mean), torch.tensor(std), network.patch_embed.num_patches)
    for name in list(state):
        if name.startswith(("blocks.", "norm_pre.")):
            found[name] = state.pop(name)
        elif name.startswith("norm."):
            found[f"norm_post.{name.removeprefix('norm.')}"] = state.pop(name)
    if state:
        raise WeightsError(f"{where} has {', '.join(sorted(state)[:6])}, which TiTok's encoder has no place for")
    return found


def _fold_scales(state: dict[str, Tensor]) -> None:
    """LayerScale, a factor on each number that a layer adds, into the layer's last weights."""
    for name in [name for name in state if name.endswith(".gamma")]:
        block, scale, _ = name.rsplit(".", 2)
        if scale in _SCALED:
            gamma, layer = state.pop(name), f"{block}.{_SCALED[scale]}"
            state[f"{layer}.weight"] *= gamma[:, None]
            state[f"{layer}.bias"] *= gamma


def _embeddings(state: dict[str, Tensor], mean: Tensor, std: Tensor, num_patches: int) -> dict[str, Tensor]:
    """Patches of pixels in [0, 1], the class token, and positions (1 + P, D), the class's first; out of ``state``."""
    weight = state.pop("patch_embed.proj.weight") / std.view(1, 3, 1, 1)
    bias = state.pop("patch_embed.proj.bias", torch.zeros(len(weight)))
    found = {"patch_embed.weight": weight, "patch_embed.bias": bias - (weight * mean.view(1, 3, 1, 1)).sum((1, 2, 3))}
    class_token = state.pop("cls_token", None)
    if class_token is not None:
        found["class_embedding"] = class_token[0]
    positions = state.pop("pos_embed", None)
    if positions is not None:
        rows = positions.flatten(0, -2)
        without_class = len(rows) == num_patches
        found["positional_embedding"] = torch.cat([torch.zeros_like(rows[:1]), rows]) if without_class else rows
    return found
