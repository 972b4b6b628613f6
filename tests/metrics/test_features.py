"""Feature extractors: official Inception numbers, torch-fidelity's metrics on our extractor, weights that are wrong."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from golden.rule import load_golden, standard_batch
from metrics.inception_weights import rule_inception
from metrics.torch_fidelitys import register_with_torch_fidelity
from PIL import Image
from torch.utils.data import Dataset

from titok.config.model import ClassifierModel
from titok.metrics.features import ClassifierExtractor, InceptionExtractor, clean_resize, pytorch_fid_input
from titok.metrics.frechet import frechet_distance
from titok.metrics.inception_score import adm_inception_score, inception_score
from titok.metrics.moments import Moments
from titok.metrics.precision_recall import precision_recall
from titok.models.classifier import Classifier
from titok.runtime.weights import WeightsError


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """InceptionV3's weights made by rule, as the golden numbers' were."""
    return rule_inception(tmp_path_factory.mktemp("weights") / "inception.pth")


@pytest.fixture(scope="module")
def float32(weights: Path) -> InceptionExtractor:
    return InceptionExtractor(weights, dtype="float32")


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Noise, blocks and one photograph, uint8."""
    golden = load_golden("evaluator_inception")
    batch = (standard_batch()[:3] * 255).to(torch.uint8)
    checksums = [zlib.crc32(image.permute(1, 2, 0).contiguous().numpy().tobytes()) for image in batch]
    channel_first = [zlib.crc32(image.numpy().tobytes()) for image in batch]
    assert golden.inputs["u8_crc32"].tolist() in (checksums, channel_first)
    return batch


def test_inception_equals_the_official_evaluator(weights: Path, images: torch.Tensor) -> None:
    golden = load_golden("evaluator_inception").outputs
    extractor = InceptionExtractor(weights, sha256=hashlib.sha256(weights.read_bytes()).hexdigest())
    seen = extractor(images)
    assert seen.features.dtype == torch.float64
    np.testing.assert_allclose(seen.features, golden["features_2048"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(seen.logits, golden["logits_unbiased"], rtol=1e-9, atol=1e-9)
    assert (seen.features.shape[1], seen.logits.shape[1]) == (extractor.feature_dim, extractor.num_logits)


def test_inception_in_float32_is_close(weights: Path, float32: InceptionExtractor, images: torch.Tensor) -> None:
    golden = load_golden("evaluator_inception").outputs
    seen = float32(images[:1])
    assert seen.features.dtype == torch.float32
    np.testing.assert_allclose(seen.features, golden["features_2048"][:1], rtol=1e-3, atol=1e-5)
    assert float32.identity["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert float32.identity["dtype"] == "float32"


def test_inception_does_not_depend_on_batches(float32: InceptionExtractor, images: torch.Tensor) -> None:
    many = torch.cat([images[:, :, :160, :160], images[:, :, 96:, 96:]])
    together = float32(many)._asdict()
    for batch_size in (1, 4):  # of six: even parts, and a shorter last one
        parts = [float32(batch) for batch in many.split(batch_size)]
        for name, whole in together.items():
            found = torch.cat([getattr(part, name) for part in parts])
            torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-4 * float(whole.abs().max()))


def test_spatial_features_are_adms(float32: InceptionExtractor, images: torch.Tensor) -> None:
    """`mixed_6/conv` is the first branch of Mixed_6d; the first 7 of its channels, position by position."""
    maps: list[torch.Tensor] = []
    branch = float32.network.Mixed_6d.branch1x1
    hook = branch.register_forward_hook(lambda module, inputs, output: maps.append(output))
    spatial = float32(images[:2]).spatial
    hook.remove()
    assert spatial is not None
    assert spatial.shape == (2, float32.spatial_dim)
    by_hand = maps[0].permute(0, 2, 3, 1)[..., :7].reshape(2, -1)  # as TensorFlow lays them out
    torch.testing.assert_close(spatial, by_hand, rtol=0, atol=0)


def test_clean_resize_is_pillows(images: torch.Tensor) -> None:
    """clean-fid resizes each channel as 32-bit floats with Pillow's bicubic filter."""
    side = 299
    for image in images:
        channels = [Image.fromarray(channel.numpy().astype(np.float32), mode="F") for channel in image]
        wanted = [np.asarray(channel.resize((side, side), Image.Resampling.BICUBIC)) for channel in channels]
        found = clean_resize(image[None])[0].numpy()
        np.testing.assert_allclose(found, np.clip(np.stack(wanted), 0, 255), atol=1e-4)


def test_clean_resize_replaces_the_networks_own(
    weights: Path, float32: InceptionExtractor, images: torch.Tensor
) -> None:
    usual = float32
    clean = InceptionExtractor(weights, dtype="float32", resize="clean")
    assert "resize" not in usual.identity
    assert clean.identity["resize"] == "clean"
    already = torch.randint(0, 256, (1, 3, 299, 299), dtype=torch.uint8)  # nothing to resize: no difference
    torch.testing.assert_close(clean(already).features, usual(already).features, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(clean(images[:1]).features, usual(images[:1]).features, rtol=1e-2)


def test_pytorch_fids_resize_is_bilinear_between_centres(images: torch.Tensor) -> None:
    """Pillow's filter enlarges by the same rule, in 32-bit floats; black and white become -1 and 1."""
    side = 299
    for image in images:
        channels = [Image.fromarray(channel.numpy().astype(np.float32), mode="F") for channel in image]
        wanted = np.stack([np.asarray(each.resize((side, side), Image.Resampling.BILINEAR)) for each in channels])
        found = pytorch_fid_input(image[None], torch.float64)[0].numpy()
        # Along each axis it rounds once, by half a unit in the last place of 128 to 255, of which 255 make 2.
        tolerance = 2 * 2.0**-17 * 2 / 255
        np.testing.assert_allclose(found, wanted.astype(np.float64) / 127.5 - 1, rtol=0, atol=tolerance)
    flat = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None].expand(2, 3, 8, 8)
    black, white = pytorch_fid_input(flat, torch.float64)
    assert (black == -1).all()
    torch.testing.assert_close(
        white, torch.ones_like(white), rtol=0, atol=1e-14
    )  # weights add up to 1 but for rounding


def test_pytorch_fids_resize_is_what_the_network_sees(
    weights: Path, float32: InceptionExtractor, images: torch.Tensor
) -> None:
    theirs = InceptionExtractor(weights, dtype="float32", resize="pytorch-fid")
    seen: list[torch.Tensor] = []
    theirs.network.Conv2d_1a_3x3.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    features = theirs(images[:1]).features
    assert torch.equal(seen[0], pytorch_fid_input(images[:1], torch.float32))
    assert theirs.identity["resize"] == "pytorch-fid"
    assert not torch.allclose(features, float32(images[:1]).features, rtol=1e-3)


def test_missing_weights_say_which_file_and_where(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nowhere.pth do not exist.*6726825d.*evaluation\.extractor\.weights"):
        InceptionExtractor(tmp_path / "nowhere.pth")


def test_wrong_hash_is_refused_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "inception.pth"
    path.write_bytes(b"not a pickle")
    with pytest.raises(WeightsError, match=r"have SHA-256 .* but 0{64} was expected"):
        InceptionExtractor(path, sha256="0" * 64)


def test_hash_in_the_files_name_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "pt_inception-2015-12-05-6726825d.pth"
    path.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="but 6726825d was expected"):
        InceptionExtractor(path)


def test_pickles_that_run_code_are_refused(tmp_path: Path) -> None:
    path, mark = tmp_path / "evil.pth", tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple:
            return Path.touch, (mark,)

    torch.save({"weight": Evil()}, path)
    with pytest.raises(WeightsError, match="no PyTorch weights file"):
        InceptionExtractor(path)
    assert not mark.exists()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="another network than InceptionV3"):
        InceptionExtractor(path)


def classifier() -> Classifier:
    """A fixed untrained classifier whose features and logits are spread out."""
    torch.manual_seed(0)
    model = Classifier(ClassifierModel(channels=(8, 16), feature_dim=12, num_classes=10))
    with torch.no_grad():
        for layer in (model.to_features[0], model.to_logits):
            layer.weight *= 30
    return model


class Stored(Dataset):
    """Images as torch-fidelity wants them: one uint8 tensor per item."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.images[index]


def toy_images(seed: int, contrast: float) -> torch.Tensor:
    noise = torch.rand(200, 3, 4, 4, generator=torch.Generator().manual_seed(seed)).repeat_interleave(4, 2)
    return (noise.repeat_interleave(4, 3) * contrast * 255).to(torch.uint8)


def test_classifier_extractor_gives_what_the_classifier_gives() -> None:
    model = classifier()
    extractor = ClassifierExtractor(model, "judge", sha256="ab" * 32)
    images = toy_images(0, 1.0)[:5]
    seen = extractor(images)
    assert not model.training
    torch.testing.assert_close(seen.features, model.features(images / 255))
    torch.testing.assert_close(seen.logits, model(images / 255))
    assert (extractor.feature_dim, extractor.num_logits) == (12, 10)
    assert extractor.identity == {"kind": "classifier", "name": "judge", "sha256": "ab" * 32, "dtype": "float32"}


@pytest.fixture(scope="module")
def registered() -> tuple[str, ClassifierExtractor]:
    extractor = ClassifierExtractor(classifier(), "judge")
    register_with_torch_fidelity("toy-judge", extractor)
    return "toy-judge", extractor


@pytest.mark.parametrize("splits", [1, 10])
def test_metrics_equal_torch_fidelitys_on_the_same_extractor(
    registered: tuple[str, ClassifierExtractor], splits: int
) -> None:
    import torch_fidelity

    name, extractor = registered
    fake, real = toy_images(1, 0.8), toy_images(2, 1.0)
    theirs = torch_fidelity.calculate_metrics(
        input1=Stored(fake),
        input2=Stored(real),
        feature_extractor=name,
        isc=True,
        fid=True,
        prc=True,
        isc_splits=splits,
        samples_shuffle=False,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    seen_fake, seen_real = extractor(fake), extractor(real)
    moments = [Moments(12), Moments(12)]
    moments[0].update(seen_fake.features)
    moments[1].update(seen_real.features)
    ours = frechet_distance(moments[0].mean, moments[0].covariance, moments[1].mean, moments[1].covariance)
    score = inception_score(seen_fake.logits) if splits == 1 else adm_inception_score(seen_fake.logits, 20)
    manifold = precision_recall(seen_real.features, seen_fake.features)
    # torch-fidelity averages features in float32.
    assert ours.value == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)
    assert score == pytest.approx(theirs["inception_score_mean"], rel=1e-6)
    assert score > 1.5
    assert manifold.precision == pytest.approx(theirs["precision"], abs=1e-6)
    assert manifold.recall == pytest.approx(theirs["recall"], abs=1e-6)
