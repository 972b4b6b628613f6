"""MaskGIT-VQGAN against the released code's numbers, and its trainable miniature.

Run: pytest tests/models/test_vqgan.py
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.rule import Golden, block_image, load_golden, noise_image, rule_state_dict

from titok.config.model import VQGANModel
from titok.models.image_tokenizer import Ids
from titok.models.vqgan import VQGAN, to_grid, to_rows

TINY = VQGANModel(
    channels=16, channel_multipliers=(1, 2, 2), num_res_blocks=1, code_dim=8, codebook_size=32, norm_groups=8
)


@pytest.fixture(scope="module")
def golden() -> Golden:
    return load_golden("maskgit_vqgan")


@pytest.fixture(scope="module")
def published(golden: Golden) -> VQGAN:
    """The official-size VQGAN with rule-made weights under their published names."""
    with torch.device("meta"):
        vqgan = VQGAN(VQGANModel())
    shapes = {key: entry["shape"] for key, entry in golden.keys.items()}
    vqgan.load_state_dict(rule_state_dict(shapes, golden.multipliers), assign=True)
    return vqgan.eval()


@torch.no_grad()
def test_encodes_like_the_released_code(published: VQGAN, golden: Golden) -> None:
    images = torch.from_numpy(np.stack([noise_image(1234), block_image(1236, 16)]))
    features = published.encode(images)
    every_fourth = to_grid(features)[:1, ::4]
    torch.testing.assert_close(every_fourth, torch.from_numpy(golden.outputs["encoder_out"]), atol=6e-4, rtol=0)
    codes = published.quantize(features).indices
    # Every margin exceeds the float32 noise of these large distances (about 1e-3), so no flip is allowed.
    assert golden.outputs["codes_margin"].min() > 2e-3
    np.testing.assert_array_equal(codes, golden.outputs["codes"])
    dark = published.encoder(0.002 * images[:1])[:, ::4]
    torch.testing.assert_close(dark, torch.from_numpy(golden.outputs["encoder_out_dark"]), atol=3e-4, rtol=0)


@torch.no_grad()
def test_decodes_like_the_released_code(published: VQGAN, golden: Golden) -> None:
    codes = torch.from_numpy(golden.outputs["codes"][:1]).long()
    expected = torch.from_numpy(golden.outputs["image"])
    image = published.decode(published.quantize.lookup(codes))[..., ::4, ::4]
    torch.testing.assert_close(image, expected, atol=6e-4, rtol=0)
    dark = 0.001 * published.quantize.lookup(torch.from_numpy(golden.inputs["random_codes"]))
    image = published.decode(dark)[..., ::4, ::4]
    torch.testing.assert_close(image, torch.from_numpy(golden.outputs["image_dark"]), atol=6e-4, rtol=0)


def test_published_names_and_size(golden: Golden) -> None:
    with torch.device("meta"):
        vqgan = VQGAN(VQGANModel())
    shapes = {key: list(value.shape) for key, value in vqgan.state_dict().items()}
    assert shapes == {key: entry["shape"] for key, entry in golden.keys.items()}
    assert sum(parameter.numel() for parameter in vqgan.parameters()) == 54_515_587


def test_changed_channels_drop_the_block_input() -> None:
    """The published shortcut quirk: with a zero second convolution nothing is left where the channels change."""
    vqgan = VQGAN(TINY)
    same, changed = vqgan.encoder.down[0].block[0], vqgan.encoder.down[1].block[0]
    for block in (same, changed):
        torch.nn.init.zeros_(block.conv2.weight)
    x = torch.randn(1, 16, 4, 4)
    assert torch.equal(same(x), x)
    assert not changed(x).any()


@pytest.mark.parametrize("image_size", [16, 32])
def test_miniature_shapes(image_size: int) -> None:
    vqgan = VQGAN(TINY).eval()
    images = torch.rand(3, 3, image_size, image_size)
    side = image_size // TINY.downsampling
    codes = vqgan.tokenize(images).values
    assert codes.shape == (3, side * side)
    assert codes.dtype == torch.int64
    decoded = vqgan.detokenize(Ids(codes))
    assert decoded.shape == images.shape
    assert decoded.min() >= 0
    assert decoded.max() <= 1
    reconstruction, quantized = vqgan(images)
    torch.testing.assert_close(reconstruction.clamp(0, 1), decoded)
    assert torch.equal(quantized.indices, codes)


def test_miniature_learns() -> None:
    torch.manual_seed(0)
    vqgan = VQGAN(TINY)
    images = torch.rand(8, 3, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    vqgan.quantize.init_from(vqgan.encode(images), torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(vqgan.parameters(), lr=2e-3)
    errors = []
    for _ in range(40):
        reconstruction, quantized = vqgan(images)
        error = (reconstruction - images).square().mean()
        optimizer.zero_grad()
        (error + quantized.loss).backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.5 * errors[0]


def test_tokenize_ignores_autocast_and_gradient() -> None:
    vqgan = VQGAN(TINY).eval()
    images = torch.rand(2, 3, 16, 16)
    expected = vqgan.tokenize(images).values
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(vqgan.tokenize(images).values, expected)


def test_codes_are_in_raster_order() -> None:
    grid = torch.arange(12.0).view(1, 2, 2, 3)
    assert to_rows(grid)[0, 3].tolist() == [3.0, 9.0]
    square = torch.randn(2, 5, 3, 3)
    assert torch.equal(to_grid(to_rows(square)), square)
