"""ALIT's official checkpoints: names, shapes and numbers of parameters of every size, and the way there and back.

Run: pytest tests/models/test_published_alit.py
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from golden.alit import alit_rule_tensor, copied
from models.alit_toys import alit, alit_images
from torch import Tensor, nn

import titok
from titok.config.alit import ALIT_SIZES, AlitModel
from titok.config.model import TransformerSize
from titok.models.alit import Alit
from titok.models.parameters import count_parameters
from titok.models.published import PublishedFormatError
from titok.models.published_alit import config_from_official, config_to_official, from_official, to_official
from titok.runtime.weights import WeightsError

BASE, CODEBOOK = 54_515_587, 49_152
COUNTS = {
    # total, encoder, decoder with its head, what is left
    "tiny": (107_352_719, 25_219_072, 26_933_760, 635_148),
    "small": (262_048_399, 100_769_792, 105_246_720, 1_467_148),
    "base": (228_689_551, 85_054_464, 88_019_200, 1_051_148),
    "semilarge": (463_587_983, 201_539_584, 206_016_512, 1_467_148),
}
"""Counted in the official modules; the encoder's there are its blocks alone, the decoder's what begins `decoder.`."""


def on_meta(size: str, **changes: Any) -> Alit:
    with torch.device("meta"):
        return Alit(AlitModel(transformer=ALIT_SIZES[size], **changes))


@pytest.mark.parametrize("size", COUNTS)
def test_every_size_has_the_official_number_of_parameters(size: str) -> None:
    model = on_meta(size)
    state = to_official(model.state_dict())
    parts = {"base_tokenizer.": 0, "encoder.": 0, "decoder.": 0, "quantize.": 0, "": 0}
    for key, tensor in state.items():
        parts[next(beginning for beginning in parts if key.startswith(beginning))] += tensor.numel()
    assert count_parameters(model) == COUNTS[size][0]
    assert tuple(parts.values()) == (BASE, *COUNTS[size][1:3], CODEBOOK, COUNTS[size][3])
    assert COUNTS[size][0] - BASE == {"tiny": 52_837_132, "small": 207_532_812, "base": 174_173_964,
                                      "semilarge": 409_072_396}[size]  # fmt: skip


@pytest.mark.parametrize("size", COUNTS)
def test_every_size_has_the_official_names_and_shapes(size: str) -> None:
    """As the tiny one's, which are known, by width and depth."""
    state, width = to_official(on_meta(size).state_dict()), ALIT_SIZES[size].width
    known = {key: entry["shape"] for key, entry in copied().keys.items() if ".transformer." not in key}
    known |= {
        key.replace(".0.", f".{layer}.", 1): entry["shape"]
        for key, entry in copied().keys.items()
        if ".transformer.0." in key
        for layer in range(ALIT_SIZES[size].depth)
    }
    sides = {512: width, 1024: 2 * width, 1536: 3 * width, 2048: 4 * width}
    for key, shape in known.items():
        if key.startswith("base_tokenizer."):
            continue
        expected = [sides.get(side, side) for side in shape]
        if key == "patch_embed.weight" or key == "patch_embed.bias":
            expected[0] = width - 256
        if key.startswith("decoder.ffn.2."):
            expected[0] = 1024  # the base's codes
        known[key] = expected
    assert {key: list(tensor.shape) for key, tensor in state.items()} == known


def test_names_go_there_and_back() -> None:
    for latents in ("quantized", "continuous", "unprojected"):
        state = on_meta("tiny", latents=latents).state_dict()
        assert from_official(to_official(state)).keys() == state.keys()
        assert ("decoder.decoder_embed.weight" in to_official(state)) == (latents != "unprojected")
        assert ("quantize.embedding.weight" in to_official(state)) == (latents == "quantized")


def test_settings_go_there_and_back() -> None:
    for latents in ("quantized", "continuous", "unprojected"):
        for size in ALIT_SIZES.values():
            model = AlitModel(transformer=size, latents=latents, image_size=128)
            assert config_from_official(config_to_official(model)) == model
    golden = json.loads((Path(__file__).parents[1] / "golden" / "alit_tiny" / "config.json").read_text())
    assert config_from_official(golden) == AlitModel()
    assert config_from_official({"model": "alit_small", "quantize_latent": False}).latents == "continuous"
    # Quantising forces the projection, whatever the other argument says.
    assert config_from_official({"model": "alit_small", "factorize_latent": False}).latents == "quantized"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model": "alit_huge"}, "model is 'alit_huge'; known: alit_tiny, alit_small, alit_base, alit_semilarge"),
        ({"model": "alit_tiny", "base": "vae"}, "base is 'vae'; only the VQGAN is supported"),
    ],
)
def test_unknown_settings_are_told(config: dict[str, Any], said: str) -> None:
    with pytest.raises(PublishedFormatError, match=said):
        config_from_official(config)


@pytest.fixture(scope="module")
def narrow() -> dict[str, Tensor]:
    """Official weights of an 8-layer model of a width that has a name, but for 32 pixels: quick to make and to read."""
    model = on_meta("tiny", image_size=32, iterations=2, tokens_per_iteration=2, codebook_size=64)
    return {key: alit_rule_tensor(key, tuple(each.shape)) for key, each in to_official(model.state_dict()).items()}


def checkpoint(narrow: dict[str, Tensor], file: Path) -> Path:
    """As the official stage 2 saves it: averaged weights, adversaries among them, and what the training needs."""
    adversary = {"gan_losses.0.discriminator.main.0.weight": torch.zeros(64, 3, 4, 4)}
    content = {
        "ema": narrow | adversary,
        "model": {"encoder.transformer.0.ln_1.weight": torch.zeros(1)},
        "epoch": 7,
        "args": argparse.Namespace(model="alit_tiny"),
    }
    torch.save(content, file)
    return file


def test_a_checkpoint_is_opened_as_it_is(
    narrow: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = titok.load(checkpoint(narrow, tmp_path / "checkpoint-last.pth"))
    assert isinstance(model, Alit)
    assert model.config == AlitModel(image_size=32, iterations=2, tokens_per_iteration=2, codebook_size=64)
    assert "its averaged weights (ema) are read, nothing else" in capsys.readouterr().err
    state = to_official(model.state_dict())
    assert state.keys() == narrow.keys()
    assert all(torch.equal(state[key], narrow[key]) for key in narrow)
    images = torch.rand(2, 3, 32, 32)
    assert model.detokenize(model.tokenize(images, 2)).shape == images.shape


def test_saved_and_opened_again_it_is_the_same(narrow: dict[str, Tensor], tmp_path: Path) -> None:
    model = titok.load(checkpoint(narrow, tmp_path / "checkpoint-last.pth"))
    for layout in ("released", "own"):
        titok.save(model, tmp_path / layout, layout=layout)
        again = titok.load(tmp_path / layout)
        assert isinstance(again, Alit)
        assert again.config == model.config
        for key, tensor in model.state_dict().items():
            assert torch.equal(again.state_dict()[key], tensor), key
    config = json.loads((tmp_path / "released" / "config.json").read_text())
    assert config["model"] == "alit_tiny"


def test_a_config_says_that_a_codebook_is_not_used(narrow: dict[str, Tensor], tmp_path: Path) -> None:
    (tmp_path / "args.json").write_text(
        json.dumps({"model": "alit_tiny", "quantize_latent": False, "factorize_latent": True, "img_size": 32,
                    "num_init_latent_tokens": 2, "max_rollout_iters": 2})
    )  # fmt: skip
    file = checkpoint(narrow, tmp_path / "checkpoint-last.pth")
    model = titok.load(file, config=tmp_path / "args.json")
    assert isinstance(model, Alit)
    assert model.config.latents == "continuous"
    assert not hasattr(model, "quantize")


def test_weights_that_do_not_fit_are_told_by_their_official_names(narrow: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"ema": {key: value for key, value in narrow.items() if key != "latent_tokens"}}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"do not fit Alit: 1 missing: latent_tokens\."):
        titok.load(tmp_path / "a.pth")


def test_what_the_official_code_cannot_express_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PublishedFormatError, match=r"the base is .*layout='own'"):
        titok.save(alit(), tmp_path / "released")
    model = on_meta("tiny")
    model.config = model.config.model_copy(update={"transformer": TransformerSize(width=768, depth=3, num_heads=4)})
    with pytest.raises(PublishedFormatError, match="has no official name; official sizes: alit_tiny, alit_small"):
        titok.save(model, tmp_path / "released")
    titok.save(alit(), tmp_path / "own", layout="own")
    again = titok.load(tmp_path / "own")
    assert isinstance(again, Alit)
    images = alit_images(3)
    assert torch.equal(again.tokenize(images).values, alit().tokenize(images).values)


def test_every_module_of_a_fresh_model_is_drawn_as_officially() -> None:
    torch.manual_seed(0)
    model = Alit(AlitModel(image_size=32))
    for name, parameter in [*model.encoder.named_parameters(), *model.decoder.named_parameters()]:
        spread = parameter.std().item()
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "norm" in name:
            assert (parameter == 1).all(), name
        elif name.endswith("qkv.weight"):
            assert spread == pytest.approx((2 / (512 + 3 * 512)) ** 0.5, rel=0.02), name
        elif "embedding" in name or name in ("mask_token", "latent_tokens"):
            assert spread == pytest.approx(512**-0.5, rel=0.15), name
        else:
            assert isinstance(parameter, nn.Parameter)
            assert spread == pytest.approx(0.02, rel=0.1), name
    assert model.quantize.embedding.weight.abs().max() <= 1 / 4096
