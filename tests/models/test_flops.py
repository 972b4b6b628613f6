"""Counted operations: against formulas, against whole models of every depth run for real, and parts against the whole.

Run: pytest tests/models/test_flops.py
"""

from __future__ import annotations

import time

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from titok.config.generator_model import GeneratorModel
from titok.config.model import PUBLISHED_SIZES, TokenizerModel, TransformerSize, VQGANModel
from titok.models.flops import (
    Flops,
    abstractly,
    block_flops,
    decoder_flops,
    generator_flops,
    quantizer_flops,
    tokenizer_parts,
    vqgan_parts,
)
from titok.models.generator import build_generator
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN

VQGAN_TINY = VQGANModel(
    channels=8, channel_multipliers=(1, 1, 2), num_res_blocks=1, code_dim=8, codebook_size=16, norm_groups=4
)
SMALL = TransformerSize(width=24, depth=3, num_heads=2)
LARGE = TransformerSize(width=32, depth=5, num_heads=4)


def tokenizer(**changes: object) -> TokenizerModel:
    settings: dict[str, object] = {"image_size": 16, "patch_size": 4, "encoder": SMALL, "decoder": LARGE}
    settings |= {"num_latent_tokens": 6, "codebook_size": 32, "code_dim": 4, "vqgan": VQGAN_TINY}
    return TokenizerModel.model_validate(settings | changes)


MODELS = {
    "two-stage": tokenizer(),
    "stage 1": tokenizer(pixel_lookup="argmax"),
    "four codes per patch": tokenizer(image_size=32, patch_size=8, codes_per_patch=2),
    "single stage": tokenizer(head="pixels", vqgan=None),
    "2D": tokenizer(head="pixels", vqgan=None, latents="patches", num_latent_tokens=16),
    "vae": tokenizer(head="pixels", vqgan=None, kind="vae"),
}


def counted(work: object) -> int:
    """Attention by its two products: fused kernels compute one of them again on their way back."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()  # type: ignore[operator]
    return int(counter.get_total_flops())


@pytest.mark.parametrize("name", MODELS)
def test_parts_add_up_to_a_real_model(name: str) -> None:
    """Run on the CPU with real weights, of full depth, at batch 3: nothing of the abstract counting is shared."""
    config = MODELS[name]
    model = TiTok(config)
    images = torch.rand(3, 3, config.image_size, config.image_size)
    found = tokenizer_parts(config)
    with torch.no_grad():
        assert 3 * sum(part.forward for part in found.values()) == counted(lambda: model(images))
        assert 3 * found["encoder"].forward == counted(lambda: model.encode(images))


@pytest.mark.parametrize("kind", ["vit", "uvit"])
@pytest.mark.parametrize("depth", [2, 6])
def test_generators_of_every_depth(kind: str, depth: int) -> None:
    config = GeneratorModel(
        kind=kind, width=32, depth=depth, num_heads=4, num_tokens=6, codebook_size=16, num_classes=5
    )  # type: ignore[arg-type]
    model = build_generator(config)
    tokens, labels = torch.zeros(2, 6, dtype=torch.int64), torch.tensor([0, 1])
    found = generator_flops(config)
    assert 2 * found.forward == counted(lambda: model(tokens, labels))
    assert 2 * found.training == counted(lambda: model(tokens, labels).sum().backward())


def test_the_vqgan() -> None:
    model, images = VQGAN(VQGAN_TINY), torch.rand(2, 3, 16, 16)
    found = vqgan_parts(VQGAN_TINY, 16)
    assert 2 * sum(part.forward for part in found.values()) == counted(lambda: model(images))
    assert 2 * sum(part.training for part in found.values()) == counted(lambda: model(images)[0].sum().backward())


def test_a_block_by_its_formula() -> None:
    """Per token 2 x 12 W^2 for the linear layers and 4 n W for attention; backward twice that."""
    width, length = 64, 10
    forward = 2 * 12 * width**2 * length + 4 * length**2 * width
    parameters = 12 * width**2 + 13 * width
    assert block_flops(width, 4, 4.0, length) == Flops(forward, 3 * forward, parameters)


def test_quantizers_look_up_distances() -> None:
    """2 E operations per pair of a token and a code; re-anchoring takes the same distances."""
    forward = 2 * 4 * 6 * 32
    assert quantizer_flops(32, 4, 6) == Flops(forward, forward, 4 * 32)


def test_stage_2_needs_no_gradient_before_the_decoder() -> None:
    """What is saved is the gradient of the first linear layer's input: 2 E W per token."""
    saved = decoder_flops(tokenizer()).training - decoder_flops(tokenizer(), trained_before=False).training
    assert saved == 2 * 4 * 32 * 6


# Parameters by part as specification 1.1 lists them, and of the whole released checkpoints.
S128 = {
    "encoder": 25_818_636,
    "latent_tokens": 65_536,
    "quantizer": 49_152,
    "decoder": 27_000_832,
    "pixel_decoder": 30_740_483,
}
RELEASED = {("small", 128): 83_674_639, ("base", 64): 204_814_095, ("large", 32): 641_054_735}


@pytest.mark.parametrize(("size", "num_tokens"), RELEASED)
def test_published_sizes_take_little_time_and_have_the_released_parameters(size: str, num_tokens: int) -> None:
    shape = PUBLISHED_SIZES[size]
    started = time.monotonic()
    parts = tokenizer_parts(TokenizerModel(encoder=shape, decoder=shape, num_latent_tokens=num_tokens))
    assert time.monotonic() - started < 10
    assert sum(part.parameters for part in parts.values()) == RELEASED[size, num_tokens]
    if size == "small":
        assert {name: part.parameters for name, part in parts.items()} == S128


def test_published_generators_have_the_released_parameters() -> None:
    assert generator_flops(GeneratorModel(num_tokens=32)).parameters == 177_202_432
    uvit = GeneratorModel(kind="uvit", width=1024, depth=20, num_heads=16, num_tokens=128)
    assert generator_flops(uvit).parameters == 294_990_848


def test_autocast_comes_back() -> None:
    before = torch.autocast
    with abstractly():
        assert torch.autocast is not before
        assert torch.empty(2).device.type == "meta"
    assert torch.autocast is before
    with pytest.raises(ZeroDivisionError), abstractly():
        1 / 0  # noqa: B018
    assert torch.autocast is before
