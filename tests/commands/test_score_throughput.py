"""`titok score throughput`: a record with speed, its spread, operations, and everything that changes the number.

Run: pytest tests/commands/test_score_throughput.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from commands.workbench import Workbench, record
from torch.nn.modules.module import register_module_forward_pre_hook

THROUGHPUT = {"batch_size": 4, "warmup_batches": 1, "batches": 3}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_record_says_how_fast_and_how(bench: Workbench, tmp_path: Path, precision: str) -> None:
    sample = yaml.safe_load(bench.config("sample", "two-steps").read_text())
    settings = {"study": "bench", "sampler": sample["sampler"], "image_size": 16}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({**settings, "throughput": {**THROUGHPUT, "precision": precision}}))
    models = {"generator": bench.model("g"), "tokenizer": bench.model("two")}
    subject = bench.targets.subject(generator="g", sampler="two-steps", seed=0)
    output = tmp_path / "speed.json"
    kept: set[bool] = set()

    def look(module: torch.nn.Module, _: object) -> None:
        kept.update(weight.requires_grad for weight in module.parameters() if not weight.is_meta)  # meta: counted only

    hook = register_module_forward_pre_hook(look)
    bench.run("score", "throughput", config=config, **models, subject=subject, device="cpu", output=output)
    hook.remove()
    assert kept == {precision == "bf16"}, "autocast keeps casts of weights that want gradients, and of no others"
    assert torch.backends.cudnn.benchmark, "as the official sampling script has it"
    found = record(output)
    speed = found["metrics"]["sampling_images_per_second"]
    assert speed["interval"]["low"] <= speed["value"] <= speed["interval"]["high"]
    assert found["metrics"]["sampling_gflop"]["value"] > 0
    assert found["protocol"]["throughput"]["precision"] == precision
    assert found["protocol"]["throughput"]["batch_size"] == 4
    assert found["protocol"]["device"]
    assert found["provenance"]["inputs"].keys() == {"generator", "tokenizer"}
