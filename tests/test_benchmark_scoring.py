"""The benchmark of scores runs, and writes what it measured beside the bare network.

Run: pytest tests/test_benchmark_scoring.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import scoring
from titok.metrics.features import ImageFeatures

SAMPLES, RECONSTRUCTIONS = "score samples", "score reconstructions"


class Eye:
    """Stands for Inception, whose time is not what is tested here."""

    feature_dim, num_logits, spatial_dim, reads_classes = 4, 4, 2, False

    def __init__(self, weights: Path, dtype: str, device: torch.device) -> None:
        self.identity = {"kind": "inception", "dtype": dtype}

    def network(self, images: torch.Tensor) -> torch.Tensor:
        return images.double().mean(dim=(2, 3))

    def __call__(self, images: torch.Tensor) -> ImageFeatures:
        means = self.network(images)
        features = torch.cat([means, means.square().sum(dim=1, keepdim=True)], dim=1)
        return ImageFeatures(features, features, means[:, :2])


def test_everything_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "scoring.json"
    line = ["scoring", "--images", "20", "60", "--features", "40", "--side", "8", "--repeats", "1", "--batch-size", "8"]
    monkeypatch.setattr("sys.argv", [*line, "--device", "cpu", "--folder", str(tmp_path), "--output", str(output)])
    monkeypatch.setattr(scoring, "InceptionExtractor", Eye)
    monkeypatch.setattr(scoring, "FEATURES", 4)
    scoring.main()
    report = json.loads(output.read_text())
    rows: dict[tuple[str, int], Any] = {(row["what"], row["images"]): row for row in report["rows"]}
    for count in (20, 60):
        for what in (SAMPLES, RECONSTRUCTIONS):
            assert rows[what, count]["seconds"] > 0
            assert rows[what, count]["share_of_floor"] > 0
    assert {what for what, count in rows if count == 40} == {
        "moments of features",
        "distance",
        "precision, recall, KID",
        "contributions for intervals",
        "distance at infinite N",
    }
    assert (f"{SAMPLES}, each image from 20 on", 60) in rows
    assert report["provenance"]["packages"]["torch"]
    assert [path.name for path in tmp_path.iterdir()] == ["scoring.json"]


def test_rule_made_weights_are_inceptions(tmp_path: Path) -> None:
    path = scoring.rule_weights(tmp_path / "inception.pth")
    assert "fc.weight" in torch.load(path, weights_only=True)
