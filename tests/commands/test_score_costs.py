"""Costs of a tokenizer as a record: what is counted, and what is of this machine.

Run: pytest tests/commands/test_score_costs.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from commands.workbench import Workbench, record
from models.test_image_tokenizer import FAMILIES

import titok

THROUGHPUT = {"batch_size": 4, "warmup_batches": 1, "batches": 3}


@pytest.mark.parametrize(("name", "width"), [("single_stage", None), ("vae", 4)])
def test_costs_are_a_record(bench: Workbench, tmp_path: Path, name: str, width: int | None) -> None:
    torch.manual_seed(0)
    model = FAMILIES[name]()
    titok.save(model, tmp_path / "model", layout="own")
    config = tmp_path / "costs.yaml"
    config.write_text(yaml.safe_dump({"study": "bench", "image_size": 16, "throughput": THROUGHPUT}))
    subject = json.dumps({"tokenizer": name, "stage": "single_stage", "seed": 0})
    files = {"config": config, "model": tmp_path / "model" / "model.safetensors", "output": tmp_path / "costs.json"}
    bench.run("score", "costs", subject=subject, device="cpu", **files)
    found = record(tmp_path / "costs.json")
    assert found["kind"] == "costs"
    assert found["subject"].get("latent_width") == width
    metrics = {key: entry["value"] for key, entry in found["metrics"].items()}
    assert metrics["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert {"encode_gflop", "decode_gflop", "encode_images_per_second", "decode_images_per_second"} <= metrics.keys()
    assert all(value > 0 for key, value in metrics.items() if key != "peak_memory_mib")
    assert found["metrics"]["encode_images_per_second"]["interval"]["coverage"] == 0.8
    assert found["protocol"]["throughput"]["batch_size"] == 4
    assert found["protocol"]["device"]["type"] == "cpu"
