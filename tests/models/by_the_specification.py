"""The models written down once more, straight from docs/specification.md, on released weights as plain tensors.

Nothing of `titok.models` is used: einsums and explicit loops over layers, so that a mistake there is not repeated here.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = dict[str, Tensor]


def layer_norm(x: Tensor, weights: Weights, name: str, eps: float) -> Tensor:
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + eps) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x: Tensor, weights: Weights, name: str) -> Tensor:
    found = torch.einsum("...i,oi->...o", x, weights[f"{name}.weight"].flatten(1))
    return found + weights[f"{name}.bias"] if f"{name}.bias" in weights else found


def gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    query, key, value = (part.unflatten(-1, (heads, -1)) for part in (query, key, value))
    scores = torch.einsum("bqhd,bkhd->bhqk", query, key) / math.sqrt(query.shape[-1])
    return torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), value).flatten(-2)


def titok_transformer(x: Tensor, weights: Weights, prefix: str, heads: int) -> Tensor:
    """Sections 1.2 (6) and 1.3 (3)."""
    x = layer_norm(x, weights, f"{prefix}.ln_pre", 1e-5)
    layer = 0
    while f"{prefix}.transformer.{layer}.ln_1.weight" in weights:
        name = f"{prefix}.transformer.{layer}"
        packed = torch.einsum(
            "bni,oi->bno", layer_norm(x, weights, f"{name}.ln_1", 1e-5), weights[f"{name}.attn.in_proj_weight"]
        )
        query, key, value = (packed + weights[f"{name}.attn.in_proj_bias"]).chunk(3, dim=-1)
        x = x + linear(attend(query, key, value, heads), weights, f"{name}.attn.out_proj")
        hidden = linear(layer_norm(x, weights, f"{name}.ln_2", 1e-5), weights, f"{name}.mlp.c_fc")
        x = x + linear(gelu(hidden), weights, f"{name}.mlp.c_proj")
        layer += 1
    return x


def titok_encode(images: Tensor, weights: Weights, patch: int, heads: int, *, legacy: bool) -> Tensor:
    """Section 1.2: images to (B, C, N), before the quantizer."""
    batch, width = len(images), weights["latent_tokens"].shape[1]
    patches = F.conv2d(images, weights["encoder.patch_embed.weight"], weights["encoder.patch_embed.bias"], stride=patch)
    rows = patches.flatten(2).transpose(1, 2)
    sequence = torch.cat([weights["encoder.class_embedding"].expand(batch, 1, width), rows], dim=1)
    sequence = sequence + weights["encoder.positional_embedding"]
    latents = weights["latent_tokens"] + weights["encoder.latent_token_positional_embedding"]
    sequence = torch.cat([sequence, latents.expand(batch, *latents.shape)], dim=1)
    kept = titok_transformer(sequence, weights, "encoder", heads)[:, -len(latents) :]
    kept = layer_norm(kept, weights, "encoder.ln_post", 1e-5)
    as_channels = kept.reshape(batch, width, len(latents)) if legacy else kept.transpose(1, 2)
    return linear(as_channels.transpose(1, 2), weights, "encoder.conv_out").transpose(1, 2)


def titok_decode(codes: Tensor, weights: Weights, patch: int, heads: int, *, legacy: bool) -> Tensor:
    """Section 1.3: (B, C, N) to proxy logits (B, 1024, h, w), or to pixels (B, 3, H, W)."""
    rows = codes.transpose(1, 2)
    batch = len(rows)
    latents = linear(rows, weights, "decoder.decoder_embed") + weights["decoder.latent_token_positional_embedding"]
    num_patches = len(weights["decoder.positional_embedding"]) - 1
    width = latents.shape[-1]
    masks = weights["decoder.mask_token"].expand(batch, num_patches, width)
    sequence = torch.cat([weights["decoder.class_embedding"].expand(batch, 1, width), masks], dim=1)
    sequence = torch.cat([sequence + weights["decoder.positional_embedding"], latents], dim=1)
    kept = titok_transformer(sequence, weights, "decoder", heads)[:, 1 : 1 + num_patches]
    kept = layer_norm(kept, weights, "decoder.ln_post", 1e-5)
    side = math.isqrt(num_patches)
    if legacy:
        logits = linear(torch.tanh(linear(kept, weights, "decoder.ffn.0")), weights, "decoder.ffn.2")
        return logits.transpose(1, 2).unflatten(2, (side, side))
    values = linear(kept, weights, "decoder.ffn.0")
    image = torch.empty(batch, 3, side * patch, side * patch)
    for row in range(side):
        for column in range(side):
            window = values[:, row * side + column].view(batch, patch, patch, 3).permute(0, 3, 1, 2)
            image[:, :, row * patch : (row + 1) * patch, column * patch : (column + 1) * patch] = window
    return F.conv2d(image, weights["decoder.conv_out.weight"], weights["decoder.conv_out.bias"], padding=1)


def nearest_codes(codes: Tensor, weights: Weights, *, l2: bool) -> Tensor:
    """Section 2.1: (B, C, N) to ids (B, N)."""
    rows, table = codes.transpose(1, 2).double(), weights["quantize.embedding.weight"].double()
    if l2:
        rows, table = (each / each.norm(dim=-1, keepdim=True).clamp_min(1e-12) for each in (rows, table))
    return ((rows[:, :, None] - table) ** 2).sum(-1).argmin(-1)


def vit_logits(tokens: Tensor, labels: Tensor | None, weights: Weights, heads: int, codebook: int) -> Tensor:
    """Sections 4.1 and 4.2: ids (B, N) and classes (B,) to logits (B, N, V)."""
    table = weights["model.embeddings.word_embeddings.weight"]
    no_class = len(table) - 1
    condition = torch.full((len(tokens),), no_class) if labels is None else codebook + 1 + labels
    sequence = torch.cat([condition[:, None], tokens], dim=1)
    x = table[sequence] + weights["model.embeddings.position_embeddings.weight"][: sequence.shape[1]]
    x = x + weights["model.embeddings.token_type_embeddings.weight"][0]
    x = layer_norm(x, weights, "model.embeddings.LayerNorm", 1e-12)
    layer = 0
    while f"model.encoder.layer.{layer}.attention.self.query.weight" in weights:
        name = f"model.encoder.layer.{layer}"
        query, key, value = (linear(x, weights, f"{name}.attention.self.{part}") for part in ("query", "key", "value"))
        mixed = linear(attend(query, key, value, heads), weights, f"{name}.attention.output.dense")
        x = layer_norm(x + mixed, weights, f"{name}.attention.output.LayerNorm", 1e-12)
        hidden = gelu(linear(x, weights, f"{name}.intermediate.dense"))
        x = layer_norm(x + linear(hidden, weights, f"{name}.output.dense"), weights, f"{name}.output.LayerNorm", 1e-12)
        layer += 1
    return linear(x[:, 1:], weights, "model.lm_head")


def uvit_logits(tokens: Tensor, labels: Tensor | None, weights: Weights, heads: int, codebook: int) -> Tensor:
    """Sections 4.1 and 4.3."""
    table = weights["embeddings.weight"]
    condition = torch.full((len(tokens),), len(table) - 1) if labels is None else codebook + 1 + labels
    sequence = torch.cat([condition[:, None], tokens], dim=1)
    x = table[sequence] + weights["pos_embed"]

    def block(x: Tensor, name: str) -> Tensor:
        packed = linear(layer_norm(x, weights, f"{name}.norm1", 1e-5), weights, f"{name}.attn.qkv")
        x = x + linear(attend(*packed.chunk(3, dim=-1), heads), weights, f"{name}.attn.proj")
        hidden = gelu(linear(layer_norm(x, weights, f"{name}.norm2", 1e-5), weights, f"{name}.mlp.fc1"))
        return x + linear(hidden, weights, f"{name}.mlp.fc2")

    half = sum(name.startswith("in_blocks.") and name.endswith(".norm1.weight") for name in weights)
    skips = []
    for layer in range(half):
        x = block(x, f"in_blocks.{layer}")
        skips.append(x)
    x = block(x, "mid_block")
    for layer in range(half):
        x = linear(torch.cat([x, skips.pop()], dim=-1), weights, f"out_blocks.{layer}.skip_linear")
        x = block(x, f"out_blocks.{layer}")
    return linear(layer_norm(x, weights, "norm", 1e-5)[:, 1:], weights, "lm_head")
