"""Networks of timm as feature networks: their input, their features, and weights that are never made up.

Run: pytest tests/metrics/test_timm_encoder.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from metrics.encoder_weights import LITE0, lite0, made_up
from PIL import Image, ImageFilter
from safetensors.torch import load_file, save_file

from titok.metrics.frechet import frechet_distance
from titok.metrics.timm_encoder import TimmEncoder
from titok.runtime.files import FileError, sha256_file
from titok.runtime.weights import WeightsError

PHOTOGRAPHS = sorted((Path(__file__).parents[1] / "golden" / "photographs").glob("*.png"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up(tmp_path_factory.mktemp("weights") / "test_vit.safetensors")


def pictures(count: int = 6, side: int = 200) -> torch.Tensor:
    """(N, 3, S, S) uint8, smooth enough that resizing does not depend on the last rounding alone."""
    small = torch.rand(count, 3, 20, 20, generator=torch.Generator().manual_seed(3))
    return (torch.nn.functional.interpolate(small, size=side, mode="bicubic").clamp(0, 1) * 255).to(torch.uint8)


def test_the_input_is_what_timm_says_without_its_crop(weights: Path) -> None:
    encoder = TimmEncoder("test_vit", weights)
    assert encoder.identity == {
        "kind": "timm",
        "model": "test_vit",
        "sha256": sha256_file(weights),
        "dtype": "float32",
        "preprocessing": {
            "size": [160, 160],
            "interpolation": "bicubic",
            "antialias": True,
            "crop": None,
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
        },
    }
    images = pictures()
    for channel, found in zip(images.flatten(0, 1), encoder.prepared(images).flatten(0, 1), strict=True):
        # Pillow's own arithmetic on floats, which rounds nothing in between.
        resized = Image.fromarray(channel.numpy().astype(np.float32)).resize((160, 160), Image.Resampling.BICUBIC)
        expected = torch.from_numpy(np.array(resized)).clamp(0, 255) / 255
        assert (found - expected).abs().max() < 0.02 / 255


def test_a_smaller_input_is_asked_for_by_its_side(tmp_path: Path) -> None:
    path = tmp_path / "test_efficientnet.safetensors"
    network = timm.create_model("test_efficientnet", pretrained=False)
    save_file(network.state_dict(), path)
    own, small = TimmEncoder("test_efficientnet", path), TimmEncoder("test_efficientnet", path, input_size=64)
    assert small.identity == {**own.identity, "preprocessing": {**own.identity["preprocessing"], "size": [64, 64]}}
    images = pictures(2)
    assert small.prepared(images).shape == (2, 3, 64, 64)
    assert not torch.allclose(small(images).features, own(images).features)
    save_file(timm.create_model("vit_tiny_patch16_224", pretrained=False).state_dict(), path)
    with pytest.raises(WeightsError, match=r"vit_tiny\S+ sees no images of 64 x 64 pixels .* its own are \[224, 224\]"):
        TimmEncoder("vit_tiny_patch16_224", path, input_size=64)


def test_features_are_timms_own(weights: Path) -> None:
    encoder, images = TimmEncoder("test_vit", weights), pictures()
    network = timm.create_model("test_vit", pretrained=False, num_classes=0).eval()
    state = {key: value for key, value in load_file(weights).items() if not key.startswith("head.")}
    network.load_state_dict(state)
    with torch.inference_mode():
        expected = network((encoder.prepared(images) - 0.5) / 0.5)
    found = encoder(images)
    torch.testing.assert_close(found.features, expected)
    assert (encoder.feature_dim, found.features.shape, found.logits.shape) == (64, (6, 64), (6, 0))


def test_weights_are_the_ones_that_are_meant(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=f"have SHA-256 {sha256_file(weights)}, but {'0' * 64} was expected"):
        TimmEncoder("test_vit", weights, "0" * 64)
    with pytest.raises(FileError, match="does not exist"):
        TimmEncoder("test_vit", tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match=r"no network called 'test_vlt'; .*such as test_vit"):
        TimmEncoder("test_vlt", weights)
    with pytest.raises(WeightsError, match=r"cannot build 'test_vit\.of_nobody'"):
        TimmEncoder("test_vit.of_nobody", weights)
    state = load_file(weights)
    save_file({key: value for key, value in state.items() if key != "norm.bias"}, tmp_path / "less.safetensors")
    with pytest.raises(WeightsError, match=r"1 missing: norm\.bias"):
        TimmEncoder("test_vit", tmp_path / "less.safetensors")
    with pytest.raises(WeightsError, match="cannot be matched by their order"):
        TimmEncoder("test_vit", tmp_path / "less.safetensors", names="by_order")


def test_weights_of_a_port_are_taken_by_their_order_where_that_is_said(weights: Path, tmp_path: Path) -> None:
    order = list(timm.create_model("test_vit", pretrained=False).state_dict())
    state = load_file(weights)
    torch.save({f"port.{place}": state[key] for place, key in enumerate(order)}, tmp_path / "port.pth")
    with pytest.raises(WeightsError, match="missing"):
        TimmEncoder("test_vit", tmp_path / "port.pth")
    ported, images = TimmEncoder("test_vit", tmp_path / "port.pth", names="by_order"), pictures(2)
    torch.testing.assert_close(ported(images).features, TimmEncoder("test_vit", weights)(images).features)
    assert ported.identity["names"] == "by_order"


@pytest.mark.parametrize(("name", "classes"), [("chelsea", {281, 282, 285}), ("coffee", {967})])
def test_real_weights_by_their_order_know_a_cat_and_a_cup(name: str, classes: set[int]) -> None:
    """ImageNet's tabby, tiger and Egyptian cat; espresso. Tensors in wrong places would know neither."""
    encoder = TimmEncoder("tf_efficientnet_lite0", lite0(), LITE0, names="by_order")
    path = next(path for path in PHOTOGRAPHS if path.stem == name)
    image = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)
    logits = encoder.network.classifier(encoder(image[None]).features)
    assert int(logits.argmax()) in classes


@pytest.mark.long
def test_real_features_of_photographs_move_away_under_blur() -> None:
    """A network with random weights hardly feels blur; one trained on ImageNet does, the more the blurrier."""
    encoder = TimmEncoder("tf_efficientnet_lite0", lite0(), LITE0, names="by_order")
    crops = [crop for path in PHOTOGRAPHS for crop in tiles(Image.open(path).convert("RGB"))]
    assert len(crops) >= 16

    def moments(radius: float) -> tuple[torch.Tensor, torch.Tensor]:
        blurred = [np.array(crop.filter(ImageFilter.GaussianBlur(radius))) for crop in crops]
        features = encoder(torch.from_numpy(np.stack(blurred)).permute(0, 3, 1, 2)).features.double()
        return features.mean(dim=0), features.T.cov()

    sharp = moments(0)
    distances = [frechet_distance(*sharp, *moments(radius)).value for radius in (0, 1, 2, 4)]
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert distances == sorted(distances)
    assert distances[1] > 1


def tiles(image: Image.Image, side: int = 64) -> list[Image.Image]:
    across, down = image.width // side, image.height // side
    return [
        image.crop((side * x, side * y, side * (x + 1), side * (y + 1))) for y in range(down) for x in range(across)
    ]
