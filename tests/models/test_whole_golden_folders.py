"""Official-size models on all four golden images, photographs included, at the golden folders' tolerances.

The tests next door look at one image more closely, and at single layers.

Run: pytest tests/models/test_whole_golden_folders.py
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from golden.rule import HERE, load_golden, rule_state_dict, standard_batch
from torch import Tensor, nn

from titok.config.model import VQGANModel
from titok.models.image_tokenizer import Ids
from titok.models.published import config_from_published, from_published
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN, to_grid

pytestmark = pytest.mark.long


class Folder:
    """One golden folder: weights by its rule, random tokens, and comparisons at its own tolerances."""

    def __init__(self, name: str) -> None:
        self.golden = load_golden(name)
        self.path = HERE / name
        self.arrays = self.golden.outputs | dict(np.load(self.path / "four.npz"))
        self.index = self.document("four.json")

    def document(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / name).read_text())
        return found

    def weights(self) -> dict[str, Tensor]:
        shapes = {key: tuple(entry["shape"]) for key, entry in self.golden.keys.items()}
        return rule_state_dict(shapes, self.golden.multipliers)

    def random(self, name: str) -> Tensor:
        """What was decoded besides what the encoder gave."""
        return torch.from_numpy(self.arrays[name])

    def compare(self, name: str, whole: Tensor) -> None:
        """``whole`` in the released shape, cut as the folder's index says."""
        entry = self.index[name]
        assert list(whole.shape) == entry["shape"], name
        part = whole
        if entry["slice"] != "all":
            part = whole[tuple(_slice(text) for text in entry["slice"].strip("[]").split(","))]
        if not whole.is_floating_point():
            np.testing.assert_array_equal(part, self.arrays[name], err_msg=name)
            return
        torch.testing.assert_close(
            part, torch.from_numpy(self.arrays[name]), rtol=0, atol=entry["atol"], msg=lambda m: f"{name}: {m}"
        )


def _slice(text: str) -> slice:
    numbers = [int(number) if number.strip() else None for number in text.split(":")]
    return slice(*numbers)


def released(rows: Tensor) -> Tensor:
    """(B, K, E) as the released (B, E, 1, K)."""
    return rows.transpose(1, 2).unsqueeze(2)


def as_map(rows: Tensor) -> Tensor:
    """(B, P, V) as the released (B, V, 16, 16)."""
    return rows.transpose(1, 2).unflatten(2, (16, 16))


def titok_of(folder: Folder) -> TiTok:
    config = config_from_published(folder.document("config.json"))
    return filled(lambda: TiTok(config), from_published(folder.weights(), config))


def filled(build: Any, state: dict[str, Tensor]) -> Any:
    with torch.device("meta"):
        model: nn.Module = build()
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)


def test_titok_s128() -> None:
    folder = Folder("tokenizer_titok_s128")
    model, images = titok_of(folder), standard_batch()
    z = model.encode(images)
    folder.compare("z", released(z))
    quantized = model.quantize(z)
    folder.compare("ids", quantized.indices[:, None].int())
    folder.compare("z_quantized", released(quantized.z_quantized))
    logits = model.proxy_logits(model.quantize.lookup(quantized.indices))
    folder.compare("logits", as_map(logits))
    folder.compare("logits_argmax", as_map(logits).argmax(1).int())
    restored = model.detokenize(Ids(quantized.indices))
    folder.compare("image", restored)
    folder.compare("image_crop", restored)
    random_tokens = folder.random("random_ids").long().flatten(1)
    folder.compare("logits_rand", as_map(model.proxy_logits(model.quantize.lookup(random_tokens))))
    folder.compare("image_rand", model.detokenize(Ids(random_tokens)))


def test_titok_bl64_vae() -> None:
    folder = Folder("tokenizer_titok_bl64_vae_c16")
    model, images = titok_of(folder), standard_batch()
    folder.compare("z", released(model.encode(images)))
    posterior = model.posterior(images)
    folder.compare("posterior_mean", released(posterior.mean))
    folder.compare("posterior_logvar", released(posterior.logvar))
    folder.compare("posterior_std", released(posterior.std))
    folder.compare("posterior_kl", posterior.kl())
    restored = model.decode(posterior.mean)
    folder.compare("image", restored)
    folder.compare("image_crop", restored)
    latents = folder.random("random_ids").squeeze(2).transpose(1, 2)
    folder.compare("image_rand", model.decode(latents))


def test_maskgit_vqgan() -> None:
    folder = Folder("maskgit_vqgan")
    model = filled(lambda: VQGAN(VQGANModel()), folder.weights())
    images = standard_batch(1236, 16)
    features = model.encode(images)
    folder.compare("encoder_out", to_grid(features))
    codes = model.quantize(features).indices
    folder.compare("codes", codes.int())
    assert torch.equal(model.tokenize(images).values, codes)
    restored = model.decode(model.quantize.lookup(codes))
    folder.compare("image", restored)
    folder.compare("image_crop", restored)
    folder.compare("image_clamped", model.detokenize(Ids(codes)))
    random_codes = folder.random("random_codes").long()
    folder.compare("image_rand", model.decode(model.quantize.lookup(random_codes)))
