"""Frozen encoders: the known ones are what they are said to be, tokens are in order, and real weights see.

Run: pytest tests/models/test_soft_tokens.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from metrics.encoder_weights import LITE0, lite0, made_up

from titok.config.encoder_record import EncoderRecord
from titok.config.encoder_records import load_encoders
from titok.errors import ModelError
from titok.models.soft_tokens import SoftTokens, merged, soft_token_facts
from titok.runtime.weights import WeightsError

KNOWN = {
    "efficientnet-lite0": (3_371_008, 49, 1280, None),
    "vit-b": (85_798_656, 196, 768, 34.9),
    "dinov2-b": (85_727_232, 256, 768, 46.8),
    "mae-b": (85_798_656, 196, 768, 34.9),
    "clip-b": (85_799_424, 196, 768, 34.9),
    "clip-l-336": (303_507_456, 576, 1024, 381),
    "siglip-b": (85_843_200, 256, 768, 45.9),
    "siglip2-b": (85_843_200, 256, 768, 45.9),
    "paligemma-224": (412_442_352, 256, 1152, 219),
    "paligemma-448": (413_327_088, 1024, 1152, 972),
}
"""Parameters, tokens, width, and GFLOP of the blocks alone, by 2 L ((4 + 2 r) N W^2 + 2 N^2 W): counted elsewhere."""
PATCH_EMBEDDING = 0.01
"""The share of it that the embedding of patches and tokens before them may add."""


def test_each_known_one_has_a_line() -> None:
    assert load_encoders().keys() == KNOWN.keys()


@pytest.mark.parametrize("name", KNOWN)
def test_tokens_width_and_cost(name: str) -> None:
    parameters, tokens, width, gflop = KNOWN[name]
    record = load_encoders()[name]
    assert timm.is_model_pretrained(record.model) or name == "efficientnet-lite0", "timm knows this tag"
    facts = soft_token_facts(record)
    assert (facts.parameters, facts.num_tokens, facts.width) == (parameters, tokens, width)
    assert (record.num_tokens, record.width) == (tokens, width), "as it says without being built"
    assert facts.stored_bits == tokens * width * 16
    if gflop is not None:
        assert gflop * (1 - 0.002) <= facts.gflop <= gflop * (1 + PATCH_EMBEDDING)


TINY = EncoderRecord(model="test_vit", kind="ViT", image_size=160, stride=16, width=64, pooling="mean", licence="none")


def test_a_transformers_tokens_are_its_patches_without_what_stands_before_them(tmp_path: Path) -> None:
    encoder = SoftTokens.open(TINY, without_head(made_up(tmp_path / "tiny.safetensors")))
    images = torch.rand(2, 3, 40, 40)
    tokens = encoder(images)
    assert tokens.shape == (2, 100, 64)
    prepared = torch.nn.functional.interpolate(
        images, (160, 160), mode=encoder.preprocessing["interpolation"], antialias=True
    ).clamp(0, 1)
    whole = encoder.network.forward_features((prepared - encoder.mean) / encoder.std)
    torch.testing.assert_close(tokens, whole[:, 1:])
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def without_head(file: Path) -> Path:
    from safetensors.torch import load_file, save_file

    save_file({name: value for name, value in load_file(file).items() if not name.startswith("head.")}, file)
    return file


def test_a_file_as_it_is_released_has_a_classifier_and_gives_the_same_tokens(tmp_path: Path) -> None:
    whole = SoftTokens.open(TINY, made_up(tmp_path / "whole.safetensors"))
    bare = SoftTokens.open(TINY, without_head(made_up(tmp_path / "bare.safetensors")))
    images = torch.rand(1, 3, 40, 40)
    assert torch.equal(whole(images), bare(images))
    torch.save({"head.0.weight": torch.zeros(1)} | bare.network.state_dict(), tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"unexpected.*head\.0\.weight"):
        SoftTokens.open(TINY, tmp_path / "other.pth")


def test_random_weights_are_never_taken(tmp_path: Path) -> None:
    file = without_head(made_up(tmp_path / "tiny.safetensors"))
    with pytest.raises(WeightsError, match="SHA-256"):
        SoftTokens.open(TINY.model_copy(update={"sha256": "0" * 64}), file)
    with pytest.raises(Exception, match=r"absent|not exist|no such"):
        SoftTokens.open(TINY, tmp_path / "absent.safetensors")


def test_fewer_tokens_are_means_of_rows_and_columns() -> None:
    grid = torch.arange(16.0).view(1, 16, 1)
    assert merged(grid, 1).flatten().tolist() == [7.5]
    assert merged(grid, 2).flatten().tolist() == [3.5, 11.5], "the upper and the lower half"
    assert merged(grid, 4).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    torch.testing.assert_close(merged(grid, 16), grid)
    for count in (0, 3, 32):
        with pytest.raises(ModelError, match=f"cannot become {count}; allowed: powers of 2 from 1 to 16"):
            merged(grid, count)
    with pytest.raises(ModelError, match="no square grid"):
        merged(torch.zeros(1, 8, 1), 2)


def test_real_weights_see_where_something_is() -> None:
    """A CNN's token is of its place: a disc in one corner changes its tokens, and hardly those of the opposite one."""
    record = load_encoders()["efficientnet-lite0"]
    assert record.sha256 == LITE0
    encoder = SoftTokens.open(record, lite0())
    blank = torch.full((1, 3, 224, 224), 0.5)
    spotted = blank.clone()
    y, x = torch.meshgrid(torch.arange(224), torch.arange(224), indexing="ij")
    spotted[:, 0, ((y - 40) ** 2 + (x - 40) ** 2) < 900] = 1.0
    tokens = encoder(torch.cat([blank, spotted]))
    assert tokens.shape == (2, 49, 1280)
    moved = (tokens[1] - tokens[0]).norm(dim=1).view(7, 7)
    assert moved[:3, :3].min() > 5 * moved[4:, 4:].max()
