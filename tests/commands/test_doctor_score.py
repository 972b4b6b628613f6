"""`titok doctor score`: from files to tables, JSON and a verdict, with Inception made by rule.

Run: pytest tests/commands/test_doctor_score.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from metrics.inception_weights import rule_inception
from PIL import Image

from titok.cli import main
from titok.commands import doctor_score
from titok.commands.doctor_score import as_text, verdict
from titok.config.protocols import PROTOCOLS
from titok.data.shards import ShardWriter
from titok.data.transforms import crop_pixels
from titok.evaluation.explanation import Explanation
from titok.evaluation.reference import collect_reference, save_reference
from titok.metrics.features import ImageFeatures, InceptionExtractor
from titok.runtime.files import save_npz

SIDE, COUNT = 24, 8


def photograph(seed: int) -> Image.Image:
    draws = np.random.default_rng(seed)
    small = Image.fromarray(draws.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    return small.resize((40 + 3 * seed, 36), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Originals as shards, reconstructions of their crops in two parts, a reference file, weights."""
    folder = tmp_path_factory.mktemp("doctor")
    images = [photograph(seed) for seed in range(COUNT)]
    with ShardWriter(folder, "test") as writer:
        for number, image in enumerate(images):
            with (folder / "image.png").open("wb") as stream:
                image.save(stream, format="PNG")
            writer.write(f"image-{number}", (folder / "image.png").read_bytes(), number % 2)
    crops = np.stack([crop_pixels(image, SIDE, SIDE).permute(1, 2, 0).numpy() for image in images])
    rebuilt = np.clip(crops * 0.9 + 10, 0, 255).astype(np.uint8)
    save_npz(folder / "a.npz", arr_0=rebuilt[:5], labels=np.arange(5) % 2)
    save_npz(folder / "b.npz", arr_0=rebuilt[5:], labels=np.arange(5, COUNT) % 2)
    weights = rule_inception(folder / "inception.pth")
    extractor = InceptionExtractor(weights, dtype="float32")
    floats = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    save_reference(folder / "reference.npz", collect_reference([floats], COUNT, extractor))
    names = {"originals": "test.index.npz", "first": "a.npz", "second": "b.npz", "reference": "reference.npz"}
    return {"weights": weights, **{name: folder / file for name, file in names.items()}}


def doctor(files: dict[str, Path], *options: object) -> None:
    weights = [] if "--weights" in options else ["--weights", files["weights"]]
    line = ["doctor", "score", files["first"], files["second"], *weights, "--device", "cpu"]
    main([str(word) for word in (*line, *options)])


class Eye:
    """Stands for Inception where the answer does not depend on it: a few numbers of an image of any size."""

    feature_dim, num_logits, spatial_dim, reads_classes = 4, 4, 2, False

    def __init__(self, weights: Path, sha256: str | None, dtype: str, device: torch.device, resize: str) -> None:
        self.identity = {"kind": "inception", "resize": resize}

    def __call__(self, images: torch.Tensor) -> ImageFeatures:
        means = images.double().mean(dim=(2, 3)) / 100
        features = torch.cat([means, images.double().std(dim=(1, 2, 3))[:, None] / 100], dim=1)
        return ImageFeatures(features, features, means[:, :2])


def test_report_of_reconstructions(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_score, "InceptionExtractor", Eye)
    doctor(files, "--originals", files["originals"], "--json", "--output", tmp_path / "report.json")
    report = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert [row["name"] for row in report["protocols"]] == list(PROTOCOLS)
    rows = {row["name"]: row for row in report["waterfall"]}
    assert {"uncropped reference", "adm crop", "saved as JPEG", "splits sorted by class"} <= rows.keys()
    assert rows["uncropped reference"]["fid_change"] != 0
    assert rows["uncropped reference"]["fid"] - rows["official"]["fid"] == rows["uncropped reference"]["fid_change"]
    assert any(note.startswith("size: 8 images of 4 features") for note in report["notes"])
    number = rows["swapped colours"]["fid"]
    doctor(files, "--originals", files["originals"], "--my-number", number, "--metric", "rfid")
    shown = capsys.readouterr().out
    assert f"{number:g} is best explained by 'swapped colours'" in shown
    assert "OpenCV keeps images as BGR" in shown
    assert "one change at a time" in shown


def test_originals_that_were_cropped_already(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_score, "InceptionExtractor", Eye)
    doctor(files, "--originals", files["first"], "--steps", "crop", "rounding", "--my-number", "1e6")
    shown = capsys.readouterr().out
    assert "pairs: 8 samples stand against 5 originals" in shown
    assert "crop: needs the originals as they were before any crop" in shown
    assert "No single known mistake explains 1e+06" in shown


@pytest.mark.long
def test_real_inception_finds_its_own_reference(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    shared = ("--reference", files["reference"], "--originals", files["originals"], "--steps", "reference")
    doctor(files, *shared, "--no-protocols", "--json")
    report = json.loads(capsys.readouterr().out)
    official, other = report["waterfall"]
    assert official["fid"] == pytest.approx(other["fid"], rel=1e-4)
    assert other["sfid_change"] == pytest.approx(0, abs=1e-3 * official["sfid"])
    assert any("cannot fill a covariance of 2048" in note for note in report["notes"])


def test_verdicts_in_words() -> None:
    official, other = Explanation("official", 2.2, 0.0), Explanation("adm crop", 2.5, 0.99)
    assert verdict([other, official], 2.201).endswith("nothing was done otherwise.")
    assert "best explained by 'adm crop': 2.5, not 2.2" in verdict([other, official], 2.5)
    few = Explanation("too few images", 3.0, 1.0, images=12_345)
    assert "about 12345 images would give it" in verdict([few, official], 3.0)


def test_what_it_needs_and_refuses(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"give --originals, --reference or both"):
        doctor(files)
    with pytest.raises(SystemExit, match=r"nowhere\.pth do not exist"):
        doctor(files, "--originals", files["originals"], "--weights", tmp_path / "nowhere.pth")
    np.savez(tmp_path / "small.npz", mu=np.zeros(4), sigma=np.eye(4))
    with pytest.raises(SystemExit, match=r"small\.npz has moments of 4 features; Inception has 2048"):
        doctor(files, "--reference", tmp_path / "small.npz")
    np.savez(tmp_path / "large.npz", mu=np.zeros(2048), sigma=np.eye(2048), arr_0=np.zeros((1, 256, 256, 3), np.uint8))
    with pytest.raises(SystemExit, match=r"large\.npz is of images of 256 x 256 pixels, the samples have 24 x 24"):
        doctor(files, "--reference", tmp_path / "large.npz")


@pytest.mark.parametrize(("value", "shown"), [(3.2104, "3.21"), (-0.03, "below 0")])
def test_the_distance_at_infinite_n_is_never_without_its_error(value: float, shown: str) -> None:
    line = {"fid_at_infinite_n": value, "fid_at_infinite_n_error": 0.0512}
    report = {"images": 9, "dtype": "float32", "protocols": [], "waterfall": [{"name": "official", "fid": 3.5}]}
    assert f"FID at infinite N: {shown} (standard error 0.051)" in as_text({**report, "notes": [], **line})
