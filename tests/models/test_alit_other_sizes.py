"""ALIT's sizes that no golden numbers are of: official checkpoints with rule-made weights, opened by `titok.load`.

They are compared with the method written down once more with torch's own attention, under the official names. The
largest size takes two minutes; it passed when this was written, and differs from `small` in depth and heads alone.

Run: pytest tests/models/test_alit_other_sizes.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from golden.alit import alit_rule_tensor
from torch import Tensor, nn
from torch.nn import functional as F

import titok
from titok.config.alit import ALIT_SIZES, AlitModel
from titok.models.alit import Alit
from titok.models.published_alit import to_official
from titok.runtime.seed import generator

pytestmark = pytest.mark.long

SMALL_IMAGES: dict[str, Any] = {"image_size": 48, "iterations": 3, "tokens_per_iteration": 4, "codebook_size": 64}
HEADS = {"tiny": 8, "small": 8, "base": 12, "semilarge": 16}
VARIANTS = [("small", "quantized"), ("base", "continuous"), ("tiny", "unprojected")]


class ByTheMethod:
    """Section by section, from the official parameters alone."""

    def __init__(self, state: dict[str, Tensor], heads: int) -> None:
        self.state, self.heads = state, heads

    def linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def norm(self, x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        spread = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return centred / spread * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]

    def attention(self, x: Tensor, name: str) -> Tensor:
        width = x.shape[-1]
        module = nn.MultiheadAttention(width, self.heads, batch_first=True)
        names = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
        module.load_state_dict({each: self.state[f"{name}.{each}"] for each in names})
        return module(x, x, x, need_weights=False)[0]

    def stack(self, x: Tensor, part: str) -> Tensor:
        depth = len({key.split(".")[2] for key in self.state if key.startswith(f"{part}.transformer.")})
        for layer in range(depth):
            name = f"{part}.transformer.{layer}"
            x = x + self.attention(self.norm(x, f"{name}.ln_1"), f"{name}.attn")
            hidden = F.gelu(self.linear(self.norm(x, f"{name}.ln_2"), f"{name}.mlp.c_fc"))
            x = x + self.linear(hidden, f"{name}.mlp.c_proj")
        return x

    def fresh(self, iteration: int) -> Tensor:
        state = self.state
        return (
            state["latent_tokens"] + state["latent_token_positional_embedding"] + state["timestep_embedding"][iteration]
        )

    def latents(self, features: Tensor, images: Tensor, iterations: int) -> Iterator[Tensor]:
        """Of every iteration, after the last norm: features (B, E, h, w)."""
        state, batch = self.state, len(images)
        patches = F.conv2d(images, state["patch_embed.weight"], state["patch_embed.bias"], stride=16)
        grid = torch.cat([features, patches], dim=1).flatten(2).transpose(1, 2)
        grid = grid / grid.norm(dim=-1, keepdim=True)
        first = torch.cat([state["encoder_class_embedding"].expand(batch, 1, -1), grid], dim=1)
        x = first + state["encoder_positional_embedding"]
        for iteration in range(iterations):
            x = torch.cat([x, self.fresh(iteration).expand(batch, -1, -1)], dim=1)
            x = self.stack(self.norm(x, "encoder_ln_recursive" if iteration else "encoder_ln_pre"), "encoder")
            yield self.norm(x[:, 1 + grid.shape[1] :], "encoder_ln_post")

    def logits(self, vectors: Tensor) -> Tensor:
        """Of what the bottleneck gave."""
        state, batch = self.state, len(vectors)
        positions = state["decoder_positional_embedding"]
        latents = self.linear(vectors, "decoder.decoder_embed") if "decoder.decoder_embed.weight" in state else vectors
        latents = latents + state["decoder.latent_token_positional_embedding"][: latents.shape[1]]
        masks = state["decoder_mask_token"].expand(batch, len(positions) - 1, -1)
        first = torch.cat([state["decoder_class_embedding"].expand(batch, 1, -1), masks], dim=1) + positions
        x = self.stack(self.norm(torch.cat([first, latents], dim=1), "decoder.ln_pre"), "decoder")
        x = self.norm(x[:, 1 : len(positions)], "decoder.ln_post")
        return self.linear(self.linear(x, "decoder.ffn.0").tanh(), "decoder.ffn.2")

    def quantized(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        z = F.normalize(latents, dim=-1)
        codes = F.normalize(self.state["quantize.embedding.weight"], dim=-1)
        indices = (z @ codes.T).argmax(-1)
        return indices, codes[indices]


def checkpoint(folder: Path, size: str, latents: str) -> tuple[Alit, dict[str, Tensor]]:
    with torch.device("meta"):
        shapes = to_official(
            Alit(AlitModel(transformer=ALIT_SIZES[size], latents=latents, **SMALL_IMAGES)).state_dict()
        )
    state = {key: alit_rule_tensor(key, tuple(each.shape)) for key, each in shapes.items()}
    torch.save({"ema": state}, folder / "checkpoint.pth")
    config = {
        "model": f"alit_{size}",
        "quantize_latent": latents == "quantized",
        "factorize_latent": latents != "unprojected",
        "img_size": 48,
        "num_init_latent_tokens": 4,
        "max_rollout_iters": 3,
        "vq_codebook_size": 64,
    }
    (folder / "args.json").write_text(json.dumps(config))
    model = titok.load(folder / "checkpoint.pth", config=folder / "args.json")
    assert isinstance(model, Alit)
    inferred = titok.load(folder / "checkpoint.pth")
    # Shapes do not say how large a codebook is that is not there.
    assert isinstance(inferred, Alit)
    assert inferred.config.model_copy(update={"codebook_size": 64}) == model.config
    return model, state


@pytest.mark.parametrize(("size", "latents"), VARIANTS)
@torch.no_grad()
def test_a_size_computes_what_the_method_says(size: str, latents: str, tmp_path: Path) -> None:
    model, state = checkpoint(tmp_path, size, latents)
    images = torch.rand(2, 3, 48, 48, generator=generator(0, "images"))
    method = ByTheMethod(state, HEADS[size])
    features = model.base.encoder(images)
    expected = list(method.latents(features, images, 3))
    for reached, normed in zip(model.rollout(images), expected, strict=True):
        theirs = normed if latents == "unprojected" else method.linear(normed, "pre_quantizer_mlp")
        ours = model.encoder(reached)
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
        code = model.bottleneck(ours)
        if latents == "quantized":
            indices, vectors = method.quantized(ours)
            assert code.quantized is not None
            assert torch.equal(code.quantized.indices, indices)
            torch.testing.assert_close(code.vectors, vectors)
        else:
            assert torch.equal(code.vectors, ours)
        torch.testing.assert_close(model.proxy_logits(code.vectors), method.logits(code.vectors), rtol=1e-3, atol=1e-3)
    assert expected[-1].std() > 0.1
