"""Sizes that no golden folder has: released folders with rule-made weights, opened by `titok.load`, against the
specification written down once more in plain tensor operations.

Run: pytest tests/models/test_other_sizes.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from golden.rule import block_image, noise_image
from models import by_the_specification as specification
from safetensors.torch import save_file
from torch import Tensor

import titok
from titok.config.sampling import PUBLISHED_SAMPLERS
from titok.models.image_tokenizer import Ids
from titok.models.published_generators import generator_model
from titok.models.released import empty_model, to_released
from titok.runtime.rule import rule_state_dict

HEADS = {"small": 8, "base": 12, "large": 16}
VQ8K = {"codebook_size": 8192, "token_size": 64, "use_l2_norm": False, "is_legacy": False, "finetune_decoder": False}
VAE = {"quantize_mode": "vae", "token_size": 16, "is_legacy": False, "finetune_decoder": False}
TWO_STAGE = {"codebook_size": 4096, "token_size": 12, "use_l2_norm": True, "finetune_decoder": True}


def tokenizer_config(encoder: str, decoder: str, tokens: int, crop: int, patch: int, **kind: Any) -> dict[str, Any]:
    sizes = {"vit_enc_model_size": encoder, "vit_dec_model_size": decoder, "num_latent_tokens": tokens}
    patches = {"vit_enc_patch_size": patch, "vit_dec_patch_size": patch}
    return {
        "model": {"vq_model": {**kind, **sizes, **patches, "commitment_cost": 0.25}},
        "dataset": {"preprocessing": {"crop_size": crop}},
    }


VARIANTS = {
    "S-16": tokenizer_config("small", "small", 16, 256, 16, **TWO_STAGE),
    "S-256 at 128 pixels": tokenizer_config("small", "small", 256, 128, 16, **TWO_STAGE),
    "SB-40 at 512 pixels": tokenizer_config("small", "base", 40, 512, 32, **TWO_STAGE),
    "BS-96": tokenizer_config("base", "small", 96, 128, 16, **TWO_STAGE | {"codebook_size": 1024, "token_size": 16}),
    "SS-33 vq8k": tokenizer_config("small", "small", 33, 256, 16, **VQ8K),
    "BS-20 vae": tokenizer_config("base", "small", 20, 256, 16, **VAE),
}
LARGE = {
    "L-24": tokenizer_config("large", "large", 24, 128, 16, **TWO_STAGE),
    "SL-64 vq8k": tokenizer_config("small", "large", 64, 128, 16, **VQ8K),
}


def release(folder: Path, kind: str, config: dict[str, Any], *, as_yaml: bool = False) -> dict[str, Tensor]:
    """A released folder (or a bare `.bin` with a released YAML config) with weights by the rule; returns them."""
    shapes = {key: tuple(each.shape) for key, each in to_released(empty_model(kind, config, "here")).items()}  # type: ignore[arg-type]
    multipliers = {"attn.in_proj_weight": 2.0, "decoder.ffn.2.weight": 4.0, "encoder.conv_out.weight": 4.0}
    weights = rule_state_dict(shapes, multipliers)
    folder.mkdir()
    if as_yaml:
        torch.save(weights, folder / "weights.bin")
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
    else:
        save_file(weights, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(config))
    return weights


def pictures(side: int) -> Tensor:
    """Two images, both larger or smaller than 256 where the crop is."""
    whole = torch.stack([torch.from_numpy(noise_image(11)), torch.from_numpy(block_image(12, 8))])
    return torch.nn.functional.interpolate(whole, size=(side, side), mode="nearest")


def check(tmp_path: Path, config: dict[str, Any]) -> None:
    settings, side = config["model"]["vq_model"], config["dataset"]["preprocessing"]["crop_size"]
    weights = release(tmp_path / "released", "tokenizer", config)
    model = titok.load(tmp_path / "released")  # type: ignore[attr-defined]
    legacy, patch = settings.get("is_legacy", True), settings["vit_enc_patch_size"]
    heads, decoder_heads = HEADS[settings["vit_enc_model_size"]], HEADS[settings["vit_dec_model_size"]]
    images, num_tokens = pictures(side), settings["num_latent_tokens"]
    with torch.no_grad():
        wanted = specification.titok_encode(images, weights, patch, heads, legacy=legacy)
        found = model.encode(images)
        torch.testing.assert_close(found.transpose(1, 2), wanted, rtol=0, atol=3e-4)
        if settings.get("quantize_mode") == "vae":
            mean, logvar = model.posterior(images)
            half = settings["token_size"]
            torch.testing.assert_close(mean.transpose(1, 2), wanted[:, :half], rtol=0, atol=3e-4)
            torch.testing.assert_close(logvar.transpose(1, 2), wanted[:, half:].clamp(-30, 20), rtol=0, atol=3e-4)
            codes, restored = mean.transpose(1, 2), model.decode(mean)
        else:
            tokens = model.tokenize(images).values
            assert tokens.dtype == torch.int64
            assert tokens.shape == (2, num_tokens)
            ids = specification.nearest_codes(found.transpose(1, 2), weights, l2=settings["use_l2_norm"])
            assert torch.equal(tokens, ids)
            codes, restored = model.quantize.lookup(tokens).transpose(1, 2), model.detokenize(Ids(tokens))
            assert torch.equal(
                model.detokenize(Ids(tokens[1:])).shape.numel() * torch.ones(1), restored[1:].numel() * torch.ones(1)
            )
        decoded = specification.titok_decode(codes, weights, patch, decoder_heads, legacy=legacy)
        if legacy:
            logits = model.proxy_logits(codes.transpose(1, 2))
            torch.testing.assert_close(
                logits.transpose(1, 2).unflatten(2, decoded.shape[2:]), decoded, rtol=0, atol=5e-4
            )
            assert restored.shape == (2, 3, 16 * decoded.shape[2], 16 * decoded.shape[3])
        else:
            torch.testing.assert_close(restored, decoded, rtol=0, atol=3e-4)
        assert restored.min() < 0 or restored.max() > 1, "nothing is clamped"


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.long
def test_tokenizers_of_other_sizes(tmp_path: Path, name: str) -> None:
    check(tmp_path, VARIANTS[name])


@pytest.mark.long
@pytest.mark.parametrize("name", LARGE)
def test_large_tokenizers_of_other_sizes(tmp_path: Path, name: str) -> None:
    check(tmp_path, LARGE[name])


def generator_config(kind: str, **sizes: int) -> dict[str, Any]:
    """A released config; sizes: width, depth, heads, mlp, codebook, tokens, classes."""
    return {
        "model": {
            "vq_model": {"codebook_size": sizes["codebook"], "num_latent_tokens": sizes["tokens"]},
            "generator": {
                "model_type": kind,
                "hidden_size": sizes["width"],
                "num_hidden_layers": sizes["depth"],
                "num_attention_heads": sizes["heads"],
                "intermediate_size": sizes["mlp"],
                "dropout": 0.1,
                "attn_drop": 0.1,
                "class_label_dropout": 0.1,
                "image_seq_len": sizes["tokens"],
                "condition_num_classes": sizes["classes"],
            },
        }
    }


GENERATORS = {
    "ViT, other everything": generator_config(
        "ViT", width=96, depth=3, heads=6, mlp=160, codebook=500, tokens=48, classes=37
    ),
    "ViT of the published width": generator_config(
        "ViT", width=768, depth=2, heads=16, mlp=3072, codebook=4096, tokens=64, classes=1000
    ),
    "UViT, other everything": generator_config(
        "UViT", width=96, depth=6, heads=3, mlp=384, codebook=500, tokens=20, classes=37
    ),
    "UViT of the published width": generator_config(
        "UViT", width=1024, depth=2, heads=16, mlp=4096, codebook=4096, tokens=128, classes=1000
    ),
}


def check_generator(config: dict[str, Any], weights: dict[str, Tensor], model: Any) -> None:
    settings = generator_model(config)
    draws = torch.Generator().manual_seed(0)
    tokens = torch.randint(settings.codebook_size + 1, (3, settings.num_tokens), generator=draws)
    labels = torch.tensor([0, settings.num_classes - 1, 5])
    derive = specification.vit_logits if settings.kind == "vit" else specification.uvit_logits
    with torch.no_grad():
        for classes in (labels, None):
            wanted = derive(tokens, classes, weights, settings.num_heads, settings.codebook_size)
            found = model(tokens, classes)
            assert found.shape == (3, settings.num_tokens, settings.codebook_size)
            torch.testing.assert_close(found, wanted, rtol=0, atol=5e-4)
        assert torch.equal(model(tokens, labels, torch.ones(3, dtype=torch.bool)), model(tokens, None))


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.long
def test_generators_of_other_sizes(tmp_path: Path, name: str) -> None:
    weights = release(tmp_path / "released", "generator", GENERATORS[name])
    check_generator(GENERATORS[name], weights, titok.load(tmp_path / "released"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [name for name in GENERATORS if "other everything" in name])
def test_bare_files_of_other_sizes_sample(tmp_path: Path, name: str) -> None:
    """Opened by a released YAML config; by every published sampler a sample does not depend on its batch."""
    folder, config = tmp_path / "released", GENERATORS[name]
    weights = release(folder, "generator", config, as_yaml=True)
    model = titok.load(folder / "weights.bin", config=folder / "config.yaml")  # type: ignore[attr-defined]
    check_generator(config, weights, model)
    settings, labels = generator_model(config), torch.tensor([0, 36, 5])
    for sampler in PUBLISHED_SAMPLERS:
        samples = titok.generate(model, labels, sampler, seed=3)  # type: ignore[attr-defined]
        assert samples.shape == (3, settings.num_tokens)
        assert int(samples.max()) < settings.codebook_size
        alone = titok.generate(model, labels[2:], sampler, seed=3, indices=[2])  # type: ignore[attr-defined]
        assert torch.equal(alone[0], samples[2])
