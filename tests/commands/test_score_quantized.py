"""Soft tokens in few bits, by the protocol of all reconstructions.

Run: pytest tests/commands/test_score_quantized.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from commands.workbench import Workbench, record
from models.test_image_tokenizer import FAMILIES

import titok


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of 6 tokens of 4 channels; its weights are random."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vae")
    titok.save(FAMILIES["vae"](), folder, layout="own")
    return folder / "model.safetensors"


def given(bench: Workbench, folder: Path, model: Path, bits: int) -> dict[str, Any]:
    document = yaml.safe_load(bench.config("score", "reconstructions").read_text())
    config = folder / "quantized.yaml"
    config.write_text(yaml.safe_dump({**document, "quantization": {"range_images": 50}}))
    subject = json.dumps({"tokenizer": "vae", "stage": f"single_stage-{bits}bit", "seed": 0})
    files = {"data": bench.test_data, "train": bench.train_data, "judge": bench.model("judge"), "model": model}
    return {"config": config, "subject": subject, "bits": bits, "device": "cpu", **files}


def test_points_of_a_curve(bench: Workbench, vae: Path, tmp_path: Path) -> None:
    found = {}
    for bits in (1, 8):
        output = tmp_path / f"{bits}.json"
        bench.run("score", "quantized", output=output, **given(bench, tmp_path, vae, bits))
        found[bits] = record(output)
    facts = {"stage": "single_stage-8bit", "recipe": "quantized", "num_latent_tokens": 6, "latent_width": 4}
    told = {**facts, "bits_per_channel": 8, "channel_range": "least to largest of 50 training images, by channel"}
    assert told.items() <= found[8]["subject"].items()
    assert [found[bits]["metrics"]["bits_per_image"]["value"] for bits in (1, 8)] == [24, 192]
    assert found[1]["metrics"]["psnr"] != found[8]["metrics"]["psnr"]
    assert found[1]["protocol_id"] == found[8]["protocol_id"], "one curve, and one figure with hard rows"
    assert "codebook_usage" not in found[1]["metrics"]


def test_a_codebook_has_no_channels_to_round(bench: Workbench, tmp_path: Path) -> None:
    options = given(bench, tmp_path, bench.model("two"), 4)
    refusal = bench.refusal("score", "quantized", output=tmp_path / "never.json", **options)
    assert "its tokens are ids already" in refusal
