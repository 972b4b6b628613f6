"""Perceptual losses give the official numbers on rule-made weights, and never run on weights nobody gave.

Run: pytest tests/losses/test_perceptual.py
"""

from __future__ import annotations

import importlib.util
import zlib
from pathlib import Path

import pytest
import torch
import yaml
from golden.loss_inputs import (
    Recorded,
    convnext_state,
    heads_state,
    official_vgg_key,
    photographs,
    reconstructions,
    value_and_gradient,
    vgg16_state,
)
from golden.rule import Golden, load_golden
from safetensors.torch import save_file
from torch import Tensor, nn

from titok.config.model import ClassifierModel
from titok.config.training import Perceptual
from titok.losses.perceptual import LPIPS, FeatureDistance, Frozen, LogitDistance, MixedDistance, build_perceptual_loss
from titok.models.classifier import Classifier
from titok.runtime.files import sha256_file
from titok.runtime.weights import WeightsError, read_weights


@pytest.fixture(scope="module")
def golden() -> Golden:
    return load_golden("perceptual_loss")


@pytest.fixture(scope="module")
def convnext() -> LogitDistance:
    return LogitDistance(convnext_state())


@pytest.fixture(scope="module")
def lpips() -> LPIPS:
    return LPIPS(vgg16_state(), heads_state())


@pytest.fixture
def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier(ClassifierModel(channels=(8, 8), feature_dim=8))


def assert_gradients_close(ours: Tensor, golden: Tensor) -> None:
    torch.testing.assert_close(ours, golden, rtol=0, atol=1e-3 * golden.abs().max().item())


def test_rule_states_have_the_official_values(golden: Golden) -> None:
    states = {f"convnext.{key}": value for key, value in convnext_state().items()}
    states |= {official_vgg_key(key): value for key, value in vgg16_state().items()}
    states |= {f"lpips.{key}": value for key, value in heads_state().items()}
    expected = golden.keys["convnext_s"] | golden.keys["lpips"]
    assert {key: zlib.crc32(states[key].numpy().tobytes()) for key in expected} == {
        key: entry["crc32"] for key, entry in expected.items()
    }
    first = torch.from_numpy(golden.inputs["reconstructions_first8"])
    torch.testing.assert_close(reconstructions().flatten()[:8], first, rtol=0, atol=1e-7)


def test_convnext_logits_match_the_official_code(golden: Golden, convnext: LogitDistance) -> None:
    seen: list[Tensor] = []
    handle = convnext.convnext.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    logits = convnext.logits(photographs())
    handle.remove()
    resized = seen[0] * convnext.std + convnext.mean
    outputs = {key: torch.from_numpy(value) for key, value in golden.outputs.items()}
    torch.testing.assert_close(resized[:, :, ::16, ::16], outputs["convnext_s/input_224"], rtol=0, atol=1e-5)
    torch.testing.assert_close(logits[:, ::4], outputs["convnext_s/logits_input"], rtol=1e-4, atol=1e-4)


def test_lpips_features_and_distances_match_the_official_code(golden: Golden, lpips: LPIPS) -> None:
    outputs = {key: torch.from_numpy(value) for key, value in golden.outputs.items()}
    seen: list[Tensor] = []
    handles = [part.register_forward_hook(lambda *call: seen.append(call[2])) for part in lpips.slices]
    with torch.no_grad():
        distances = lpips.per_image(reconstructions(), photographs())
    for handle in handles:
        handle.remove()
    layers = [f"lpips/relu{layer}" for layer in ("1_2", "2_2", "3_3", "4_3", "5_3")]
    for layer, maps in zip(layers, seen[:5], strict=True):  # the targets go first
        torch.testing.assert_close(maps[:, ::8, ::16, ::16], outputs[layer], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(distances, outputs["lpips/loss"].flatten(), rtol=1e-4, atol=0)


def test_losses_and_gradients_match_the_official_code(golden: Golden, convnext: LogitDistance, lpips: LPIPS) -> None:
    outputs = {key: torch.from_numpy(value) for key, value in golden.outputs.items()}
    of_lpips, of_convnext = Recorded(lpips), Recorded(convnext)
    # Each network runs once: the mix is checked on their recorded values and gradients.
    mix = MixedDistance(of_lpips, of_convnext)  # type: ignore[arg-type]
    for name, loss in (("lpips", of_lpips), ("convnext_s", of_convnext), ("lpips-convnext_s-1.0-0.1", mix)):
        value, gradient = value_and_gradient(loss)
        torch.testing.assert_close(value, outputs[f"{name}/loss"].mean(), rtol=1e-4, atol=0)
        assert_gradients_close(gradient[:, :, ::16, ::16], outputs[f"{name}/grad_target"])


def test_lpips_of_equal_and_of_flat_images_has_finite_gradients(lpips: LPIPS) -> None:
    flat = torch.zeros(1, 3, 32, 32, requires_grad=True)
    distance = lpips(flat, torch.zeros(1, 3, 32, 32))
    distance.backward()
    assert distance == 0
    assert flat.grad is not None
    assert flat.grad.isfinite().all()


def test_feature_distance_is_the_mean_squared_feature_difference(classifier: Classifier) -> None:
    images, others = torch.rand(4, 3, 16, 16), torch.rand(4, 3, 16, 16, requires_grad=True)
    loss = FeatureDistance(classifier)(others, images)
    expected = (classifier.features(others) - classifier.features(images)).square().sum() / (4 * 8)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert others.grad is not None
    assert others.grad.abs().sum() > 0


def test_the_network_stays_frozen_in_eval_mode_and_out_of_what_is_saved(classifier: Classifier) -> None:
    owner = nn.ModuleList([nn.Linear(2, 2), FeatureDistance(classifier)])
    owner.train()
    assert not classifier.training
    assert not any(module.training for module in classifier.modules())
    assert [name for name, _ in owner.named_parameters()] == list(owner.state_dict()) == ["0.weight", "0.bias"]
    assert not any(parameter.requires_grad for parameter in classifier.parameters())
    owner[1](torch.rand(2, 3, 16, 16, requires_grad=True), torch.rand(2, 3, 16, 16)).backward()
    assert all(parameter.grad is None for parameter in classifier.parameters())


def test_the_frozen_network_moves_with_its_owner() -> None:
    owner = nn.Sequential(Frozen(nn.Linear(2, 2)))
    owner.to(torch.float64)
    assert owner[0].network.weight.dtype == torch.float64
    owner.to("meta")
    assert owner[0].network.weight.is_meta


def test_building_draws_no_random_numbers(classifier: Classifier) -> None:
    state = torch.random.get_rng_state()
    LPIPS(vgg16_state(), heads_state())
    FeatureDistance(classifier)
    assert torch.equal(state, torch.random.get_rng_state())


def from_files(kind: str, **files: Path) -> Perceptual:
    weights = {name: {"path": str(path)} for name, path in files.items()}
    return Perceptual.model_validate({"kind": kind, "weights": weights})


def test_a_pinned_sum_is_checked(tmp_path: Path) -> None:
    save_file({"features.0.0.weight": torch.zeros(1)}, tmp_path / "w.safetensors")
    settings = {"convnext_s": {"path": str(tmp_path / "w.safetensors"), "sha256": "0" * 64}}
    with pytest.raises(WeightsError, match=r"weights\.convnext_s\.sha256 is 0000"):
        build_perceptual_loss(Perceptual.model_validate({"kind": "convnext_s", "weights": settings}))


def test_the_published_heads_fit_and_are_the_listed_file() -> None:
    """Their weights are no less than 0, as they were trained, so that no difference makes images more alike."""
    package = importlib.util.find_spec("lpips")
    if package is None or package.origin is None:
        pytest.skip("the published heads: pip install lpips (the extra `weights`)")
    path = Path(package.origin).parent / "weights" / "v0.1" / "vgg.pth"
    listed = yaml.safe_load((Path(__file__).parents[2] / "config" / "sources.yaml").read_text())["files"]
    assert sha256_file(path) == listed["lpips_heads"]["sha256"]
    heads, _ = read_weights(path)
    network = LPIPS(vgg16_state(), heads)
    assert all(float(next(iter(head.network.parameters())).min()) >= 0 for head in network.heads)
    images = photographs()
    assert float(network(images, images)) == 0
    assert float(network(images, 1 - images)) > 0


def test_weights_come_from_files_in_either_format(tmp_path: Path, lpips: LPIPS) -> None:
    # The published VGG16 file also holds the classifier, which is left alone.
    torch.save(vgg16_state() | {"classifier.0.bias": torch.zeros(3)}, tmp_path / "vgg16.pth")
    save_file(heads_state(), tmp_path / "heads.safetensors")
    built = build_perceptual_loss(
        from_files("lpips", vgg16=tmp_path / "vgg16.pth", lpips_heads=tmp_path / "heads.safetensors")
    )
    assert built is not None
    images, others = torch.rand(2, 1, 3, 32, 32)
    assert built(images, others) == lpips(images, others)


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("convnext_s", "convnext_small-0c510722.pth"),
        ("lpips", "vgg16-397923af.pth"),
        ("lpips+convnext_s", "vgg16-397923af.pth"),
    ],
)
def test_without_weights_the_error_names_the_file_needed(kind: str, named: str) -> None:
    with pytest.raises(WeightsError, match=named):
        build_perceptual_loss(Perceptual(kind=kind))  # type: ignore[arg-type]


def test_a_missing_a_broken_and_a_wrong_file_are_told_apart(tmp_path: Path) -> None:
    absent, broken, wrong = tmp_path / "absent.pth", tmp_path / "broken.pth", tmp_path / "wrong.safetensors"
    broken.write_bytes(b"not a weight file")
    save_file({"features.0.0.weight": torch.zeros(1)}, wrong)
    for path, message in ((absent, "no file .*absent"), (broken, "cannot read .*broken"), (wrong, "do not fit")):
        with pytest.raises(WeightsError, match=message):
            build_perceptual_loss(from_files("convnext_s", convnext_s=path))


def test_pickled_code_is_refused(tmp_path: Path) -> None:
    torch.save({"features": Path("code")}, tmp_path / "pickle.pth")
    with pytest.raises(WeightsError, match="cannot read"):
        build_perceptual_loss(from_files("convnext_s", convnext_s=tmp_path / "pickle.pth"))


def test_kind_none_builds_nothing_and_kind_classifier_wants_one() -> None:
    assert build_perceptual_loss(Perceptual(kind="none")) is None
    with pytest.raises(WeightsError, match="train 'judge' first"):
        build_perceptual_loss(Perceptual(kind="classifier", classifier="judge"))
