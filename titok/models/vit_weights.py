"""A vision transformer of timm as the weights of a TiTok's encoder: the same computation under our names.

Both are pre-norm transformers whose blocks have the same names. What differs is folded in, exactly: timm's networks see
normalised pixels and some scale what a layer adds. What ours has beside (latent tokens, the way down to their latents)
no such network has. Not the same are details that no weight says: QuickGELU of OpenAI's CLIP, which ours computes as
GELU, and the last digits of norms. Letters: D width, P patches.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from titok.runtime.weights import WeightsError

NEVER_GIVEN = ("latent_token_positional_embedding", "to_latent")
"""Of our encoder, what no such network has."""
_UNUSED = ("head.", "fc_norm.", "attn_pool.", "reg_token")
"""Of theirs, what comes after the tokens, and registers, of which ours has none."""
_SCALED = {"ls1": "attn.proj", "ls2": "mlp.fc2"}


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
