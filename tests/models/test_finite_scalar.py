"""Finite scalar quantization: every id is reached, comes back as its own code, and gradients pass the rounding.

Run: pytest tests/models/test_finite_scalar.py
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from pydantic import ValidationError

from titok.config.model import TokenizerModel, TransformerSize
from titok.models.finite_scalar import FiniteScalarQuantizer
from titok.models.flops import tokenizer_parts
from titok.models.image_tokenizer import Ids
from titok.models.published import PublishedFormatError, config_to_published
from titok.models.tokenizer import TiTok

LEVELS = [(5,), (2, 3), (8, 5, 5, 5), (8, 6, 5), (4, 4, 4, 4, 4, 4)]


@pytest.mark.parametrize("levels", LEVELS)
def test_every_id_is_a_code_of_its_own_and_comes_back(levels: tuple[int, ...]) -> None:
    quantizer = FiniteScalarQuantizer(levels)
    ids = torch.arange(math.prod(levels))
    codes = quantizer.lookup(ids)
    assert quantizer.codebook_size == len(ids) == len(torch.unique(codes, dim=0))
    assert codes.min() == -1.0
    assert codes.max() <= 1.0
    # Whatever lies at a code's value before the bound is that code; the outermost ones are met at infinity.
    places = torch.tensor([count // 2 for count in levels])
    aimed = ((codes * places + quantizer.offset) / quantizer.reach).clamp(-1, 1)
    latents = torch.atanh(aimed.double()).clamp(-20, 20).float() - quantizer.shift
    found = quantizer(latents.unsqueeze(0))
    torch.testing.assert_close(found.indices[0], ids)
    torch.testing.assert_close(found.z_quantized[0], codes, atol=1e-6, rtol=0.0)


def test_the_values_of_the_papers_figure() -> None:
    """Three channels of three levels are the 27 points of figure 1: all combinations of -1, 0 and 1."""
    codes = FiniteScalarQuantizer((3, 3, 3)).lookup(torch.arange(27))
    assert {tuple(code) for code in codes.tolist()} == set(itertools.product((-1.0, 0.0, 1.0), repeat=3))
    assert codes[1].tolist() == [0.0, -1.0, -1.0], "the first channel counts fastest"


def test_large_latents_stay_within_and_small_ones_are_the_middle() -> None:
    quantizer = FiniteScalarQuantizer((8, 5))
    far = quantizer(torch.tensor([[[1e6, 1e6], [-1e6, -1e6], [0.0, 0.0]]]))
    assert far.z_quantized[0].tolist() == [[0.75, 1.0], [-1.0, -1.0], [0.0, 0.0]]
    assert far.indices.tolist() == [[7 + 8 * 4, 0, 4 + 8 * 2]]


def test_gradients_are_those_of_the_bound_and_losses_are_none() -> None:
    quantizer = FiniteScalarQuantizer((5, 5))
    z = torch.tensor([[[0.3, -0.7]]], requires_grad=True)
    found = quantizer(z)
    found.z_quantized.sum().backward()
    expected = (1 - torch.tanh(z.detach()).square()) * quantizer.reach / quantizer.middle
    torch.testing.assert_close(z.grad, expected)
    assert [found.loss.item(), found.commitment_loss.item(), found.codebook_loss.item()] == [0, 0, 0]


def model(**settings: object) -> TokenizerModel:
    size = TransformerSize(width=16, depth=1, num_heads=2)
    shape = {"image_size": 8, "patch_size": 2, "encoder": size, "decoder": size, "num_latent_tokens": 4}
    return TokenizerModel(**{**shape, "head": "pixels", "vqgan": None, **settings})  # type: ignore[arg-type]


def test_a_tokenizer_with_it_writes_ids_and_reads_them_and_has_no_codebook() -> None:
    torch.manual_seed(0)
    titok = TiTok(model(fsq_levels=[8, 5, 5], code_dim=3, codebook_size=200)).eval()
    images = torch.rand(3, 3, 8, 8)
    ids = titok.tokenize(images)
    assert ids.values.shape == (3, 4)
    assert titok.facts.codebook_size == 200
    with torch.no_grad():
        torch.testing.assert_close(titok.detokenize(Ids(ids.values)), titok.reconstruct(images).images)
    assert "codebook" not in titok.parts()
    assert not [name for name in titok.state_dict() if name.startswith("quantize")]
    assert tokenizer_parts(titok.config).keys() == {"encoder", "latent_tokens", "decoder"}
    with pytest.raises(PublishedFormatError, match="the released class knows a codebook only"):
        config_to_published(titok.config)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"code_dim": 12, "codebook_size": 200}, r"code_dim 12 and codebook_size 200; its channels make 3 and 200"),
        ({"code_dim": 3, "codebook_size": 4096}, r"codebook_size 4096; its channels make 3 and 200: set these"),
        (
            {"code_dim": 3, "codebook_size": 200, "reanchor_codes": True},
            "reanchor_codes is True, but fsq_levels",
        ),
        ({"code_dim": 3, "codebook_size": 200, "codebook_init": "data"}, "codebook_init is 'data', but fsq_levels"),
        ({"code_dim": 3, "codebook_size": 200, "kind": "vae"}, "kind 'vae' does not; set kind: vq or fsq_levels"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        model(fsq_levels=[8, 5, 5], **settings)


def test_without_levels_nothing_is_another() -> None:
    assert "fsq_levels" not in model().resolved()
