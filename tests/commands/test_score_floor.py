"""Floors by the protocol of tokenizers, with what is known of them.

Run: pytest tests/commands/test_score_floor.py
"""

from __future__ import annotations

import json
from math import log2
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands.workbench import Workbench, record

PATCHES = {"kind": "patches", "patch_size": 4, "codebook_size": 8}


def scored(bench: Workbench, folder: Path, floor: dict[str, Any], **options: object) -> dict[str, Any]:
    output = folder / f"{floor['kind']}.json"
    bench.run("score", "floor", **given(bench, folder, floor, output), **options)
    return record(output)


def given(bench: Workbench, folder: Path, floor: dict[str, Any], output: Path) -> dict[str, object]:
    document = yaml.safe_load(bench.config("score", "reconstructions").read_text())
    config = folder / "floor.yaml"
    config.write_text(yaml.safe_dump({**document, "floor": floor}))
    subject = json.dumps({"tokenizer": floor["kind"], "stage": "floor", "seed": 1})
    judged = {"data": bench.test_data, "judge": bench.model("judge"), "device": "cpu"}
    return {"config": config, "subject": subject, "output": output, **judged}


def test_mean_patches_are_a_row_like_jpeg(bench: Workbench, tmp_path: Path) -> None:
    found = scored(bench, tmp_path, PATCHES, train=bench.train_data, examples=tmp_path / "examples.npz")
    facts = {"tokenizer": "patches", "stage": "floor", "seed": 1, "recipe": "patches"}
    assert (facts | {"num_latent_tokens": 16, "codebook_size": 8}).items() <= found["subject"].items()
    assert "MiniBatchKMeans of scikit-learn" in found["subject"]["source"]
    metrics = {name: metric["value"] for name, metric in found["metrics"].items()}
    assert metrics["bits_per_image"] == 16 * log2(8)
    assert metrics["parameters"] == 8 * 3 * 4 * 4
    assert 0 < metrics["codebook_usage"] <= 1
    assert metrics["explained_variance"] > 0, "better than the mean image"
    output = tmp_path / "codec.json"
    config, judge = bench.config("score", "reconstructions"), bench.model("judge")
    options = {"config": config, "data": bench.test_data, "judge": judge, "device": "cpu", "output": output}
    bench.run("score", "codec", codec="jpeg", quality=10, **options)
    assert found["protocol_id"] == record(output)["protocol_id"], "one table may show both"


def test_regions_count_their_map_and_colours(bench: Workbench, tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    found = scored(bench, tmp_path, {"kind": "regions", "regions": 9})
    regions = found["subject"]["num_latent_tokens"]
    assert 1 < regions < 30
    bits = found["metrics"]["bits_per_image"]["value"]
    assert 24 * regions < bits < 24 * regions + 2 * 16 * 16, "a bit for each edge tells any map"
    assert "codebook_size" not in found["subject"]


def test_mean_patches_need_training_images(bench: Workbench, tmp_path: Path) -> None:
    refusal = bench.refusal("score", "floor", **given(bench, tmp_path, PATCHES, tmp_path / "never.json"))
    assert "mean patches are those of training images; give their --train" in refusal


def test_patches_fill_the_image(bench: Workbench, tmp_path: Path) -> None:
    options = given(bench, tmp_path, {**PATCHES, "patch_size": 5}, tmp_path / "never.json")
    refusal = bench.refusal("score", "floor", **options)
    assert "patch_size is 5, which does not divide dataset.image_size 16; allowed: 1, 2, 4, 8, 16" in refusal
