"""Released TiTok checkpoints: names, settings, sizes, and the released code's numbers at official size.

Weights are made by rule (tests/golden/rule.py) under the published names. Run: pytest tests/models/test_published.py
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
import pytest
import torch
from golden.rule import HERE, Golden, block_image, load_golden, noise_image, rule_state_dict

from titok.config.model import TokenizerModel, TransformerSize
from titok.models.image_tokenizer import Ids
from titok.models.published import (
    PublishedFormatError,
    config_from_published,
    config_to_published,
    from_published,
    interleaved,
    to_published,
)
from titok.models.tokenizer import TiTok


def released(**vq_model: Any) -> dict[str, Any]:
    """A released ``config.json``, reduced to what the tokenizer reads."""
    patches = {"vit_enc_patch_size": 16, "vit_dec_patch_size": 16}
    return {"model": {"vq_model": patches | vq_model}, "dataset": {"preprocessing": {"crop_size": 256}}}


def sizes(encoder: str, decoder: str, num_latent_tokens: int) -> dict[str, Any]:
    return {
        "vit_enc_model_size": encoder, "vit_dec_model_size": decoder, "num_latent_tokens": num_latent_tokens,
    }  # fmt: skip


TWO_STAGE = {
    "codebook_size": 4096, "token_size": 12, "use_l2_norm": True, "commitment_cost": 0.25, "finetune_decoder": True,
}  # fmt: skip
SINGLE_STAGE = {
    "codebook_size": 8192, "token_size": 64, "use_l2_norm": False, "commitment_cost": 0.25, "finetune_decoder": False,
    "is_legacy": False,
}  # fmt: skip
VAE = {"quantize_mode": "vae", "token_size": 16, "finetune_decoder": False, "is_legacy": False}

PUBLISHED = {
    "titok_s128": (released(**sizes("small", "small", 128), **TWO_STAGE), 308, 83_674_639),
    "titok_b64": (released(**sizes("base", "base", 64), **TWO_STAGE), 404, 204_814_095),
    "titok_l32": (released(**sizes("large", "large", 32), **TWO_STAGE), 692, 641_054_735),
    "titok_bl64_vq8k": (released(**sizes("base", "large", 64), **SINGLE_STAGE), 459, 390_016_148),
    "titok_bl128_vq8k": (released(**sizes("base", "large", 128), **SINGLE_STAGE), 459, 390_179_988),
    "titok_sl256_vq8k": (released(**sizes("small", "large", 256), **SINGLE_STAGE), 411, 330_260_884),
    "titok_ll32_vae_c16": (released(**sizes("large", "large", 32), **VAE), 602, 606_879_604),
    "titok_bl64_vae_c16": (released(**sizes("base", "large", 64), **VAE), 458, 389_418_100),
    "titok_bl128_vae_c16": (released(**sizes("base", "large", 128), **VAE), 458, 389_581_940),
}
"""Settings, number of keys and number of parameters (specification 1.1)."""


def meta_model(config: TokenizerModel) -> TiTok:
    with torch.device("meta"):
        return TiTok(config)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name: str) -> None:
    settings, num_keys, num_parameters = PUBLISHED[name]
    model = meta_model(config_from_published(settings))
    assert len(model.state_dict()) == num_keys
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters


def test_parts_of_s128() -> None:
    parts = meta_model(config_from_published(PUBLISHED["titok_s128"][0])).parts()
    assert {name: sum(parameter.numel() for parameter in part) for name, part in parts.items()} == {
        "encoder": 25_818_636,
        "latent_tokens": 65_536,
        "codebook": 49_152,
        "decoder": 27_000_832,
        "pixel_decoder": 30_740_483,
    }


@pytest.mark.parametrize("folder", ["tokenizer_titok_s128", "tokenizer_titok_bl64_vae_c16"])
def test_keys_round_trip(folder: str) -> None:
    keys = load_golden(folder).keys
    config = config_from_published(json.loads((HERE / folder / "config.json").read_text()))
    theirs = {key: torch.empty(entry["shape"], device="meta") for key, entry in keys.items()}
    ours = from_published(theirs, config)
    expected = meta_model(config).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in expected.items()}
    back = to_published(ours, config)
    assert {key: value.shape for key, value in back.items()} == {key: value.shape for key, value in theirs.items()}


def test_values_round_trip() -> None:
    size = TransformerSize(width=32, depth=1, num_heads=2)
    config = TokenizerModel(
        encoder=size, decoder=size, head="pixels", vqgan=None, image_size=16, patch_size=4, num_latent_tokens=2
    )
    state = TiTok(config).state_dict()
    back = from_published(to_published(state, config), config)
    assert list(back) == list(state)
    assert all(torch.equal(back[key], state[key]) for key in state)


@pytest.mark.parametrize("name", PUBLISHED)
def test_settings_round_trip(name: str) -> None:
    config = config_from_published(PUBLISHED[name][0])
    assert config_from_published(config_to_published(config)) == config


def test_stage1_settings_decode_the_best_code() -> None:
    stage1 = released(**sizes("small", "small", 128), **{**TWO_STAGE, "finetune_decoder": False})
    assert config_from_published(stage1).pixel_lookup == "argmax"
    assert config_from_published(PUBLISHED["titok_s128"][0]).pixel_lookup == "soft"


def test_interleaved_reads_memory_in_order() -> None:
    """Channel c of token n is number c * K + n of the (K, D) matrix (specification 1.2, step 8)."""
    latents = torch.randn(2, 3, 8)
    result = interleaved(latents)
    for token in range(3):
        for channel in range(8):
            flat = channel * 3 + token
            assert torch.equal(result[:, token, channel], latents[:, flat // 8, flat % 8])


def test_settings_that_would_be_read_wrongly_are_refused() -> None:
    config = config_from_published(PUBLISHED["titok_s128"][0])
    per_token = config.model_copy(update={"latent_layout": "per_token"})
    for call in (from_published, to_published):
        with pytest.raises(PublishedFormatError, match=r"latent_layout is 'per_token'.*set latent_layout: interleaved"):
            call({}, per_token)
    with pytest.raises(PublishedFormatError, match="finetune_decoder is true but is_legacy is false"):
        config_from_published(released(**sizes("base", "base", 64), **{**SINGLE_STAGE, "finetune_decoder": True}))
    with pytest.raises(PublishedFormatError, match="'huge'; known sizes: small, base, large"):
        config_from_published(released(**sizes("huge", "base", 64), **TWO_STAGE))
    odd = config.model_copy(update={"encoder": TransformerSize(width=32, depth=1, num_heads=1)})
    with pytest.raises(PublishedFormatError, match="has no published name"):
        config_to_published(odd)


def rule_model(folder: str) -> tuple[TiTok, Golden]:
    golden = load_golden(folder)
    config = config_from_published(json.loads((HERE / folder / "config.json").read_text()))
    state = rule_state_dict({key: entry["shape"] for key, entry in golden.keys.items()}, golden.multipliers)
    for key in list(state)[:5]:
        assert zlib.crc32(state[key].numpy().tobytes()) == golden.keys[key]["crc32"], f"the weight rule changed: {key}"
    model = meta_model(config)
    model.load_state_dict(from_published(state, config), assign=True)
    return model.eval(), golden


def released_rows(array: np.ndarray) -> torch.Tensor:
    """The released (B, E, 1, K) as (B, K, E)."""
    return torch.from_numpy(array).squeeze(2).transpose(1, 2)


def close(actual: torch.Tensor, expected: np.ndarray | torch.Tensor, atol: float) -> None:
    torch.testing.assert_close(actual, torch.as_tensor(expected), atol=atol, rtol=0)


@pytest.fixture(scope="module")
def s128() -> tuple[TiTok, Golden]:
    return rule_model("tokenizer_titok_s128")


@torch.no_grad()
def test_s128_encodes_like_the_released_code(s128: tuple[TiTok, Golden]) -> None:
    model, golden = s128
    images = torch.from_numpy(np.stack([noise_image(1234), block_image(1235)]))
    close(model.encode(images), released_rows(golden.outputs["z"])[:2], 3e-4)
    assert golden.outputs["ids_margin"].min() > 1e-4
    np.testing.assert_array_equal(model.tokenize(images).values, golden.outputs["ids"][:2, 0])


@torch.no_grad()
def test_s128_quantizes_like_the_released_code(s128: tuple[TiTok, Golden]) -> None:
    model, golden = s128
    quantized = model.quantize(released_rows(golden.outputs["z"]))
    np.testing.assert_array_equal(quantized.indices, golden.outputs["ids"][:, 0])
    close(quantized.z_quantized, released_rows(golden.outputs["z_quantized"]), 9e-6)
    losses = torch.stack([quantized.loss, quantized.commitment_loss, quantized.codebook_loss])
    close(losses, golden.outputs["quantizer_losses"], 1e-7)


@torch.no_grad()
def test_s128_decodes_like_the_released_code(s128: tuple[TiTok, Golden]) -> None:
    model, golden = s128
    tokens = torch.from_numpy(golden.outputs["ids"][:1, 0]).long()
    logits = model.proxy_logits(model.quantize.lookup(tokens))
    as_image = logits.transpose(1, 2).unflatten(2, (16, 16))
    close(as_image[:, ::16], golden.outputs["logits"], 3e-4)
    np.testing.assert_array_equal(as_image.argmax(1), golden.outputs["logits_argmax"])
    image = model.logits_to_images(logits)
    close(image[..., ::4, ::4], golden.outputs["image"], 9e-4)
    close(image[..., 100:132, 96:128], golden.outputs["image_crop"], 9e-4)
    image = model.detokenize(Ids(torch.from_numpy(golden.inputs["random_ids"])))
    close(image[..., ::4, ::4], golden.outputs["image_rand"], 9e-4)


@torch.no_grad()
def test_single_stage_vae_matches_the_released_code() -> None:
    """A base encoder with a large decoder and the pixels head: all that S-128 does not have."""
    model, golden = rule_model("tokenizer_titok_bl64_vae_c16")
    image = torch.from_numpy(noise_image(1234)[None])
    close(model.encode(image), released_rows(golden.outputs["z"]), 2e-4)
    posterior = model.posterior(image)
    close(posterior.mean, released_rows(golden.outputs["posterior_mean"]), 2e-4)
    close(posterior.logvar, released_rows(golden.outputs["posterior_logvar"]), 2e-4)
    close(posterior.kl(), golden.outputs["posterior_kl"], 6e-4)
    decoded = model.decode(posterior.mean)
    close(decoded[..., ::4, ::4], golden.outputs["image"], 4e-5)
    close(decoded[..., 100:132, 96:128], golden.outputs["image_crop"], 4e-5)
