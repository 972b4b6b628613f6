"""A vision transformer of timm as TiTok's encoder: the same numbers come out.

Run: pytest tests/models/test_vit_weights.py
"""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from titok.config.model import TokenizerModel, TransformerSize
from titok.models.tokenizer import TiTok
from titok.models.vit_weights import as_encoder
from titok.runtime.weights import WeightsError

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


def network(**options: Any) -> Any:
    """6 blocks of width 64 with 2 heads, 4 x 4 patches of 4 pixels; every number is another one."""
    torch.manual_seed(0)
    found = timm.create_model("test_vit", pretrained=False, num_classes=0, img_size=16, patch_size=4, **options).eval()
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    for module in found.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5  # ours, so that the rest can be compared to the last digits
    return found


def encoder_of(tower: Any, **options: Any) -> TiTok:
    """A 2D TiTok, whose encoder's patches are what comes out, with the network's weights."""
    size = TransformerSize(width=64, depth=6, num_heads=2, mlp_ratio=3.0)
    settings = {"image_size": 16, "patch_size": 4, "encoder": size, "decoder": size, "num_latent_tokens": 16}
    model = TiTok(TokenizerModel(**settings, latents="patches", head="pixels", vqgan=None, **options))  # type: ignore[arg-type]
    given = as_encoder(tower, MEAN, STD, num_heads=2, where="the network")
    missing, unexpected = model.encoder.load_state_dict(given, strict=False)
    assert not unexpected
    assert {name.split(".")[0] for name in missing} == {"to_latent"}
    return model.eval()


@pytest.mark.parametrize(
    "options",
    [{"pre_norm": True}, {"pre_norm": True, "init_values": 0.5}, {"pre_norm": True, "no_embed_class": True}],
    ids=["as CLIP", "with LayerScale", "class token without a position"],
)
@torch.no_grad()
def test_patches_are_what_the_network_makes_of_them(options: dict[str, Any]) -> None:
    """A CLIP-like network has all that our encoder has: rounding is all that differs."""
    tower = network(**options)
    images = torch.rand(3, 3, 16, 16)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    wanted: Tensor = tower.forward_features((images - mean) / std)[:, 1:]
    found = encoder_of(tower).features(images)
    assert float(wanted.std()) > 0.5
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_other_networks_are_refused() -> None:
    with pytest.raises(WeightsError, match="has 2 attention heads, the encoder 4; set num_heads: 2"):
        as_encoder(network(), MEAN, STD, num_heads=4, where="the network")
    cnn = timm.create_model("test_efficientnet", pretrained=False)
    with pytest.raises(WeightsError, match="a CNN is no vision transformer"):
        as_encoder(cnn, MEAN, STD, num_heads=2, where="a CNN")


def test_a_network_without_a_class_token_or_a_first_norm_gives_none() -> None:
    given = as_encoder(network(class_token=False, global_pool="avg", fc_norm=False), MEAN, STD, 2, "the network")
    assert "class_embedding" not in given
    assert not [name for name in given if name.startswith("norm_pre")]
    assert given["positional_embedding"].shape == (17, 64)
    assert not given["positional_embedding"][0].any()
