"""Released checkpoints in miniature: the released layout and names, toy sizes, weights by rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from golden.rule import HERE, rule_state_dict
from safetensors.torch import save_file
from torch import Tensor

from titok.config.model import PUBLISHED_SIZES, TransformerSize, VQGANModel
from titok.models import published, released
from titok.models.released import Kind, empty_model, to_released

TOY_VQGAN = VQGANModel(
    channels=8, channel_multipliers=(1, 1, 1, 1, 1), num_res_blocks=1, code_dim=8, codebook_size=16, norm_groups=4
)
SHARED = {
    "token_size": 6, "vit_enc_model_size": "small", "vit_dec_model_size": "small", "vit_enc_patch_size": 16,
    "vit_dec_patch_size": 16, "num_latent_tokens": 4,
}  # fmt: skip


def tokenizer_config(**vq_model: Any) -> dict[str, Any]:
    """A released config of a 32-pixel tokenizer."""
    return {"model": {"vq_model": SHARED | vq_model}, "dataset": {"preprocessing": {"crop_size": 32}}}


def generator_config(name: str) -> dict[str, Any]:
    return json.loads((HERE / name / "config.json").read_text())


CONFIGS: dict[str, tuple[Kind, dict[str, Any] | None]] = {
    "two_stage": ("tokenizer", tokenizer_config(codebook_size=32, use_l2_norm=True, commitment_cost=0.25)),
    "single_stage": (
        "tokenizer",
        tokenizer_config(
            codebook_size=32, use_l2_norm=False, commitment_cost=0.25, finetune_decoder=False, is_legacy=False
        ),
    ),
    "vae": ("tokenizer", tokenizer_config(quantize_mode="vae", finetune_decoder=False, is_legacy=False)),
    "vit": ("generator", generator_config("generator_vit_tiny")),
    "uvit": ("generator", generator_config("generator_uvit_tiny")),
    "vqgan": ("vqgan", None),
}


@pytest.fixture
def toy_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `small` a toy, and the MaskGIT-VQGAN, whose sizes no released config holds."""
    monkeypatch.setitem(PUBLISHED_SIZES, "small", TransformerSize(width=16, depth=1, num_heads=2))
    for module in (published, released):
        monkeypatch.setattr(module, "VQGANModel", lambda: TOY_VQGAN)


def released_state(name: str) -> dict[str, Tensor]:
    """Weights by rule under their released names."""
    kind, config = CONFIGS[name]
    shapes = {key: tuple(tensor.shape) for key, tensor in to_released(empty_model(kind, config, name)).items()}
    return rule_state_dict(shapes)


def write_release(folder: Path, name: str, weights: str = "model.safetensors") -> dict[str, Tensor]:
    """A folder as on the Hub; returns its state_dict."""
    state = released_state(name)
    folder.mkdir(parents=True, exist_ok=True)
    if weights.endswith(".safetensors"):
        save_file(state, folder / weights)
    else:
        torch.save(state, folder / weights)
    config = CONFIGS[name][1]
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return state
