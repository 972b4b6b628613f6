"""Images of 512 pixels in patches of 32: as the released class builds them, and with four proxy codes per patch.

Run: pytest tests/models/test_512_pixels.py
"""

from __future__ import annotations

import pytest
import torch
from config.studies import changed, study_of, tiny_document
from pydantic import ValidationError

from titok.config.model import PUBLISHED_SIZES, TokenizerModel, TransformerSize, VQGANModel
from titok.models.decoder import spread_codes
from titok.models.published import PublishedFormatError, config_from_published, config_to_published
from titok.models.tokenizer import TiTok

VQGAN = VQGANModel(
    channels=8, channel_multipliers=(1, 1, 1), num_res_blocks=1, code_dim=8, codebook_size=16, norm_groups=4
)
SIZE = TransformerSize(width=16, depth=1, num_heads=2)
SMALL = {"encoder": SIZE, "decoder": SIZE, "num_latent_tokens": 3, "vqgan": VQGAN}


def released_512(num_tokens: int, size: str) -> TokenizerModel:
    shape = PUBLISHED_SIZES[size]
    return TokenizerModel(
        image_size=512,
        patch_size=32,
        encoder=shape,
        decoder=shape,
        num_latent_tokens=num_tokens,
        latent_layout="interleaved",
    )


@pytest.mark.parametrize(("num_tokens", "size"), [(64, "large"), (128, "base"), (32, "small")])
def test_the_released_class_at_512_pixels(num_tokens: int, size: str) -> None:
    """16 x 16 patches, one code of 16 pixels each: it gives images of 256 pixels back, whatever it read."""
    config = released_512(num_tokens, size)
    at_256 = config.model_copy(update={"image_size": 256, "patch_size": 16})
    with torch.device("meta"):
        model, usual = TiTok(config), TiTok(at_256)
        images = torch.empty(1, 3, 512, 512)
        assert model.encode(images).shape == (1, num_tokens, 12)
        assert model.decode(torch.empty(1, num_tokens, 12)).shape == (1, 3, 256, 256)
    assert config.decoded_size == 256
    shapes, usual_shapes = (
        {key: value.shape for key, value in each.state_dict().items() if key != "encoder.patch_embed.weight"}
        for each in (model, usual)
    )
    assert shapes == usual_shapes
    assert model.encoder.patch_embed.weight.numel() == 4 * usual.encoder.patch_embed.weight.numel()
    assert config_from_published(config_to_published(config)) == config


def test_four_codes_per_patch_give_images_of_their_own_size() -> None:
    config = TokenizerModel(image_size=32, patch_size=8, codes_per_patch=2, **SMALL)  # type: ignore[arg-type]
    model = TiTok(config).eval()
    images = torch.rand(2, 3, 32, 32)
    assert model.proxy_logits(torch.randn(2, 3, 12)).shape == (2, (32 // 4) ** 2, 16)
    assert model.reconstruct(images).images.shape == images.shape
    assert config.decoded_size == 32
    with pytest.raises(PublishedFormatError, match="codes_per_patch is 2"):
        config_to_published(config)


def test_codes_of_a_patch_stay_together() -> None:
    """Patch (r, c) holds the codes (2 r + i, 2 c + j)."""
    side, codes, vocabulary = 3, 2, 5
    predictions = torch.randn(2, side * side, codes * codes * vocabulary)
    grid = spread_codes(predictions, codes).unflatten(1, (side * codes, side * codes))
    for row in range(side):
        for column in range(side):
            patch = predictions[:, row * side + column].unflatten(1, (codes, codes, vocabulary))
            found = grid[:, codes * row : codes * (row + 1), codes * column : codes * (column + 1)]
            assert torch.equal(found, patch)
    assert spread_codes(predictions, 1) is predictions


def test_a_patch_must_hold_whole_codes() -> None:
    with pytest.raises(ValidationError, match="patch_size must be a multiple of their product"):
        TokenizerModel(image_size=32, patch_size=8, codes_per_patch=3, **SMALL)  # type: ignore[arg-type]


def test_what_a_study_trains_gives_images_back_in_their_own_size() -> None:
    document = changed(tiny_document(), "tokenizers.s2.patch_size", 8)
    with pytest.raises(ValueError, match=r"tokenizers\.s2\.patch_size is 8, but 1 x 1 proxy codes"):
        study_of(document)
    assert study_of(changed(document, "tokenizers.s2.codes_per_patch", 2)).tokenizers["s2"].codes_per_patch == 2
