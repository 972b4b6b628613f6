"""TiTok's decoder: patch order, heads, mask tokens. Run: pytest tests/models/test_decoder.py"""

from __future__ import annotations

import pytest
import torch

from titok.config.model import TokenizerModel, TransformerSize, VQGANModel
from titok.models.decoder import Decoder, unpatchify

SIZE = TransformerSize(width=32, depth=1, num_heads=2)
VQGAN_MODEL = VQGANModel(channels=8, channel_multipliers=(1, 1, 1), norm_groups=4, code_dim=4, codebook_size=20)


def decoder(head: str) -> Decoder:
    torch.manual_seed(0)
    return Decoder(
        TokenizerModel(
            head=head, vqgan=VQGAN_MODEL if head == "proxy_codes" else None, image_size=12, patch_size=4, encoder=SIZE,
            decoder=SIZE, num_latent_tokens=3, codebook_size=16, code_dim=6,
        )
    )  # fmt: skip


def test_unpatchify_is_row_column_colour() -> None:
    """Channel (row * p + column) * 3 + colour of patch (i, j) is pixel (i p + row, j p + column).

    Specification 11, pitfall 14.
    """
    patches = torch.randn(2, 9, 4 * 4 * 3)
    images = unpatchify(patches, 4)
    assert images.shape == (2, 3, 12, 12)
    for patch, row, column, colour in [(0, 0, 0, 0), (0, 0, 1, 0), (1, 0, 0, 2), (5, 3, 1, 1), (8, 3, 3, 2)]:
        y, x = patch // 3 * 4 + row, patch % 3 * 4 + column
        assert torch.equal(images[:, colour, y, x], patches[:, patch, (row * 4 + column) * 3 + colour])


@pytest.mark.parametrize(("head", "shape"), [("proxy_codes", (2, 9, 20)), ("pixels", (2, 3, 12, 12))])
def test_heads(head: str, shape: tuple[int, ...]) -> None:
    assert decoder(head)(torch.randn(2, 3, 6)).shape == shape


def test_pixels_end_in_a_convolution() -> None:
    """The last 3x3 convolution of the pixels head lets neighbouring patches touch."""
    model = decoder("pixels")
    inputs = []
    model.conv_out.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    image = model(torch.randn(1, 3, 6))
    torch.testing.assert_close(image, torch.conv2d(inputs[0], *model.conv_out.parameters(), padding=1))


def test_patches_differ_by_position_only_and_read_all_latents() -> None:
    model = decoder("proxy_codes")
    latents = torch.randn(1, 3, 6, requires_grad=True)
    logits = model(latents)
    assert torch.unique(logits[0].round(decimals=5), dim=0).shape[0] == 9
    logits[0, 4].sum().backward()
    assert latents.grad is not None
    assert (latents.grad.abs().sum(dim=2) > 0).all()
    with torch.no_grad():
        model.positional_embedding.zero_()
    logits = model(latents)
    torch.testing.assert_close(logits, logits[:, :1].expand_as(logits), atol=1e-5, rtol=0)
