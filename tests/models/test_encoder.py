"""TiTok's encoder: layout switch, use of its inputs, published initialisation.

Run: pytest tests/models/test_encoder.py
"""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from titok.config.model import TokenizerModel, TransformerSize
from titok.models.encoder import Encoder
from titok.models.published import interleaved

SIZE = TransformerSize(width=32, depth=2, num_heads=2)


def settings(**changes: object) -> TokenizerModel:
    values = {
        "head": "pixels", "vqgan": None, "image_size": 16, "patch_size": 4, "encoder": SIZE, "decoder": SIZE,
        "num_latent_tokens": 3, "codebook_size": 16, "code_dim": 6,
    }  # fmt: skip
    return TokenizerModel(**{**values, **changes})


@pytest.mark.parametrize(("kind", "channels"), [("vq", 6), ("vae", 12)])
def test_output_shape(kind: str, channels: int) -> None:
    encoder = Encoder(settings(kind=kind))
    assert encoder(torch.rand(2, 3, 16, 16), torch.randn(3, 32)).shape == (2, 3, channels)


def test_layouts_differ_only_by_the_named_reshape() -> None:
    torch.manual_seed(0)
    plain = Encoder(settings())
    mixed = Encoder(settings(latent_layout="interleaved"))
    mixed.load_state_dict(plain.state_dict())
    images, latents = torch.rand(2, 3, 16, 16), torch.randn(3, 32)
    seen = []
    plain.to_latent.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    plain(images, latents)
    torch.testing.assert_close(mixed(images, latents), F.linear(interleaved(seen[0]), *plain.to_latent.parameters()))
    assert not torch.allclose(mixed(images, latents), plain(images, latents), atol=1e-3)


def test_every_patch_and_latent_token_matters() -> None:
    torch.manual_seed(0)
    encoder = Encoder(settings())
    images, latents = torch.rand(1, 3, 16, 16, requires_grad=True), torch.randn(3, 32, requires_grad=True)
    encoder(images, latents)[:, 0].sum().backward()
    assert images.grad is not None
    assert latents.grad is not None
    per_patch = images.grad.abs().unfold(2, 4, 4).unfold(3, 4, 4).sum(dim=(0, 1, 4, 5))
    assert (per_patch > 0).all()
    assert (latents.grad.abs().sum(dim=1) > 0).all()


def test_initialisation_of_narrow_models() -> None:
    torch.manual_seed(0)
    size = TransformerSize(width=64, depth=1, num_heads=4, init_std=0.1, attention_init_gain=2.0)
    state = Encoder(settings(encoder=size)).state_dict()
    bound = 2 * (6 / (64 + 3 * 64)) ** 0.5
    assert 0.99 * bound < state["blocks.0.attn.qkv.weight"].abs().max() <= bound
    for key in ("patch_embed.weight", "blocks.0.mlp.fc1.weight", "blocks.0.attn.proj.weight", "to_latent.weight"):
        assert state[key].std().item() == pytest.approx(0.1, rel=0.1), key


def test_published_initialisation() -> None:
    torch.manual_seed(0)
    encoder = Encoder(settings(encoder=TransformerSize(width=256, depth=1, num_heads=4)))
    state = encoder.state_dict()
    for key, value in state.items():
        if key.endswith("bias"):
            assert not value.any(), key
        elif "norm" in key:
            assert (value == 1).all(), key
        elif key.endswith("attn.qkv.weight"):
            bound = (6 / (256 + 3 * 256)) ** 0.5
            assert 0.99 * bound < value.abs().max() <= bound
        elif "embedding" in key:
            assert value.std().item() == pytest.approx(256**-0.5, rel=0.15), key
        else:
            assert value.std().item() == pytest.approx(0.02, rel=0.1), key
