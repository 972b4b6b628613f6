"""Scores with one thing done otherwise: each equal to doing it by hand, passes made once, numbers explained."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image

from titok.evaluation.alterations import jpeg, rounded_otherwise, swapped_channels
from titok.evaluation.explanation import explain
from titok.evaluation.mistakes import MISTAKES, STEPS
from titok.evaluation.reference import Reference
from titok.evaluation.samples import Samples
from titok.evaluation.waterfall import Rule, Waterfall
from titok.metrics.extrapolation import Extrapolation
from titok.metrics.features import ImageFeatures
from titok.metrics.frechet import frechet_distance
from titok.metrics.inception_score import adm_inception_score, inception_score

COUNT, SIDE = 300, 8


class Eye:
    """Colour means and contrasts of an image as features; counts the images it sees."""

    feature_dim, num_logits, spatial_dim, reads_classes = 6, 4, 3, False

    def __init__(self, network: str) -> None:
        self.gain = 1.0 if network == "tensorflow1" else 0.9
        self.identity = {"kind": "inception", "resize": network}
        self.seen = 0

    def __call__(self, images: torch.Tensor) -> ImageFeatures:
        self.seen += len(images)
        pixels = images.double() / 255 * self.gain
        features = torch.cat([pixels.mean(dim=(2, 3)), pixels.std(dim=(2, 3))], dim=1)
        return ImageFeatures(features, features[:, :4] * 5, pixels[:, :, 0, 0])


class Real:
    """Originals with a colour cast per rule, uncropped ones of several sizes."""

    rules: tuple[Rule, ...] = ("official", "adm", "bilinear", "uncropped")

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def of(self, rule: Rule) -> torch.Tensor:
        shift = self.rules.index(rule) * 9
        return torch.from_numpy(np.clip(self.pixels.astype(int) + shift, 0, 255).astype(np.uint8)).permute(0, 3, 1, 2)

    def batches(self, rule: Rule) -> Iterator[torch.Tensor]:
        yield from self.of(rule).split(1 if rule == "uncropped" else 50)


def pictures(seed: int) -> np.ndarray:
    draws = np.random.default_rng(seed)
    base = draws.integers(30, 200, (COUNT, 1, 1, 3))
    return np.clip(base + draws.integers(-30, 30, (COUNT, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


ORIGINALS = pictures(0)
SAMPLES = np.clip(ORIGINALS * 0.9 + pictures(1) * 0.1, 0, 255).astype(np.uint8)
LABELS = np.arange(COUNT) % 10


def moments(images: torch.Tensor, network: str = "tensorflow1") -> tuple[torch.Tensor, np.ndarray]:
    features = Eye(network)(images).features
    return features.mean(0), np.cov(features.numpy(), rowvar=False)


def fid(samples: np.ndarray, real: torch.Tensor, network: str = "tensorflow1") -> float:
    seen = torch.from_numpy(samples).permute(0, 3, 1, 2)
    return frechet_distance(*moments(seen, network), *moments(real, network)).value


@pytest.fixture
def eyes() -> dict[str, Eye]:
    return {}


def waterfall(eyes: dict[str, Eye], *, originals: bool = True, batch_size: int = 64, **changed) -> Waterfall:
    mean, covariance = moments(torch.from_numpy(pictures(2)).permute(0, 3, 1, 2))
    references = {"train.npz": Reference(mean, torch.from_numpy(covariance))}
    options = {"written": "round", "references": references, "split_size": 50} | changed
    return Waterfall(
        Samples.of_array(SAMPLES, LABELS),
        originals=Real(ORIGINALS) if originals else None,
        network=lambda network: eyes.setdefault(network, Eye(network)),
        batch_size=batch_size,
        **options,
    )


def test_every_row_is_what_it_says(eyes: dict[str, Eye]) -> None:
    rows = {row.name: row for row in waterfall(eyes).rows(STEPS)}
    real = Real(ORIGINALS)
    expected = {
        "official": fid(SAMPLES, real.of("official")),
        "another reference: train.npz": fid(SAMPLES, torch.from_numpy(pictures(2)).permute(0, 3, 1, 2)),
        "uncropped reference": fid(SAMPLES, real.of("uncropped")),
        "adm crop": fid(SAMPLES, real.of("adm")),
        "bilinear resize of the reference": fid(SAMPLES, real.of("bilinear")),
        "other rounding": fid(rounded_otherwise("round")(SAMPLES, 0), real.of("official")),
        "clean-fid resize": fid(SAMPLES, real.of("official"), "clean"),
        "saved as JPEG": fid(jpeg(SAMPLES, 0), real.of("official")),
        "swapped colours": fid(SAMPLES[..., ::-1].copy(), real.of("official")),
    }
    assert {name: row.metrics["fid"] for name, row in rows.items() if "fid" in row.metrics} == pytest.approx(
        expected, rel=1e-6
    )
    logits = Eye("tensorflow1")(torch.from_numpy(SAMPLES).permute(0, 3, 1, 2)).logits.float()
    assert rows["official"].metrics["inception_score"] == pytest.approx(inception_score(logits), rel=1e-6)
    by_class = logits[np.argsort(LABELS, kind="stable")]
    assert rows["splits sorted by class"].metrics["inception_score"] == pytest.approx(
        adm_inception_score(by_class, 50), rel=1e-6
    )
    assert rows["splits in file order (ADM)"].metrics["inception_score"] == pytest.approx(
        adm_inception_score(logits, 50), rel=1e-6
    )
    assert "sfid" in rows["adm crop"].metrics
    assert "inception_score" not in rows["adm crop"].metrics, "another reference cannot change it"
    assert rows["adm crop"].step == "crop"
    assert {name.partition(":")[0] for name in rows} == {"official", *MISTAKES} - {"too few images"}


def test_each_kind_of_image_is_looked_at_once(eyes: dict[str, Eye]) -> None:
    asked = waterfall(eyes)
    asked.rows(STEPS)
    asked.protocols()
    line = asked.line()
    assert line is not None
    assert 0 < asked.line_error(line) < line.distances[0]
    # Samples: as they are, rounded otherwise, JPEG, swapped; originals: four rules. Clean: one of each.
    assert eyes["tensorflow1"].seen == 8 * COUNT
    assert eyes["clean"].seen == 2 * COUNT


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batches_change_nothing(eyes: dict[str, Eye], batch_size: int) -> None:
    steps = ("rounding", "file", "splits")
    rows = waterfall(eyes, batch_size=batch_size).rows(steps)
    for row, other in zip(rows, waterfall(eyes, batch_size=COUNT).rows(steps), strict=True):
        assert row.metrics == pytest.approx(other.metrics, rel=1e-4)


def test_protocols_take_their_rule_rounding_and_network(eyes: dict[str, Eye]) -> None:
    found = {row.name: row.metrics["fid"] for row in waterfall(eyes).protocols()}
    real, otherwise = Real(ORIGINALS), rounded_otherwise("round")(SAMPLES, 0)
    assert found == pytest.approx(
        {
            "titok-official": fid(SAMPLES, real.of("official")),
            "adm": fid(otherwise, real.of("adm")),
            "llamagen": fid(SAMPLES, real.of("adm")),
            "maskbit": fid(otherwise, real.of("bilinear")),
            "clean-val": fid(SAMPLES, real.of("official"), "clean"),
        },
        rel=1e-6,
    )


def test_generated_images_have_references_only(eyes: dict[str, Eye]) -> None:
    asked = waterfall(eyes, originals=False)
    rows = asked.rows(STEPS)
    reference = torch.from_numpy(pictures(2)).permute(0, 3, 1, 2)
    assert rows[0].metrics["fid"] == pytest.approx(fid(SAMPLES, reference), rel=1e-6)
    assert {row.step for row in rows} == {None, "rounding", "file", "splits"}
    assert [note.partition(":")[0] for note in asked.notes] == ["crop", "resize"]
    assert {row.name for row in asked.protocols()} == {
        f"{name}: train.npz" for name in ("titok-official", "adm", "llamagen")
    }


@pytest.mark.parametrize("name", ["uncropped reference", "another reference: train.npz", "swapped colours"])
def test_a_number_is_traced_to_its_row(eyes: dict[str, Eye], name: str) -> None:
    rows = waterfall(eyes).rows(STEPS)
    number = next(row for row in rows if row.name == name).metrics["fid"]
    best = explain(rows, "fid", number * 1.001, None)[0]
    assert best.name == name
    assert best.explained > 0.9
    assert best.mistake is MISTAKES[name.partition(":")[0]]


def test_the_number_of_images_is_found_where_nothing_else_fits(eyes: dict[str, Eye]) -> None:
    rows = waterfall(eyes).rows(("splits",))
    official = rows[0].metrics["fid"]
    line = Extrapolation(
        official - 0.01, 3.0, sizes=(30, 300), distances=(0.09, official), shares=np.full(300, 1 / 300)
    )
    best = explain(rows, "fid", official - 0.01 + 3.0 / 100, line)[0]
    assert (best.name, best.images) == ("too few images", 100)
    assert explain(rows, "fid", official, line)[0].name == "official"
    assert explain(rows, "fid", official + 50, line)[0].explained < 0.5, "nothing explains it"


def test_rounding_otherwise_is_a_fair_coin_per_value() -> None:
    grey = np.full((4, 50, 50, 3), 100, np.uint8)
    cut, up = rounded_otherwise("round")(grey, 0), rounded_otherwise("truncate")(grey, 0)
    assert set(np.unique(cut)) == {99, 100}
    assert set(np.unique(up)) == {100, 101}
    assert cut.mean() == pytest.approx(99.5, abs=0.02)
    np.testing.assert_array_equal(rounded_otherwise("round")(grey[2:], 2), cut[2:])
    assert rounded_otherwise("round")(grey * 0, 0).max() == 0
    assert rounded_otherwise("truncate")(grey * 0 + 255, 0).min() == 255


def test_alterations_by_hand() -> None:
    stream = io.BytesIO()
    Image.fromarray(SAMPLES[3]).save(stream, format="JPEG")
    np.testing.assert_array_equal(jpeg(SAMPLES[2:5], 2)[1], np.asarray(Image.open(stream)))
    np.testing.assert_array_equal(swapped_channels(SAMPLES[:2], 0)[..., 0], SAMPLES[:2, ..., 2])
