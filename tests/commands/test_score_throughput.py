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

from titok.commands import score_throughput
from titok.generation.noise import CounterNoise, DeviceNoise

THROUGHPUT = {"batch_size": 4, "warmup_batches": 1, "batches": 3}


def measured(bench: Workbench, folder: Path, settings: dict[str, str]) -> Path:
    """The record of a speed by ``settings`` and the short ones."""
    sample = yaml.safe_load(bench.config("sample", "two-steps").read_text())
    job = {"study": "bench", "sampler": sample["sampler"], "image_size": 16}
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({**job, "throughput": {**THROUGHPUT, **settings}}))
    models = {"generator": bench.model("g"), "tokenizer": bench.model("two")}
    subject = bench.targets.subject(generator="g", sampler="two-steps", seed=0)
    output = folder / "speed.json"
    bench.run("score", "throughput", config=config, **models, subject=subject, device="cpu", output=output)
    return output


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_record_says_how_fast_and_how(bench: Workbench, tmp_path: Path, precision: str) -> None:
    kept: set[bool] = set()

    def look(module: torch.nn.Module, _: object) -> None:
        kept.update(weight.requires_grad for weight in module.parameters() if not weight.is_meta)  # meta: counted only

    hook = register_module_forward_pre_hook(look)
    output = measured(bench, tmp_path, {"precision": precision})
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


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_on_gpus_the_noise_is_torchs_and_the_record_says_so(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    """A processor stands in for the GPU; the samples' own noise must not be asked for there."""
    if device == "cuda":
        monkeypatch.setattr(score_throughput, "timed_noise", lambda seed, _: DeviceNoise(seed, torch.device("cpu")))
        monkeypatch.setattr(CounterNoise, "uniform", None)
    else:
        assert score_throughput.timed_noise(0, torch.device("cpu")) is None
    found = record(measured(bench, tmp_path, {}))
    assert ("noise" in found["protocol"]) is (device == "cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_draws_its_own_noise() -> None:
    assert score_throughput.timed_noise(0, torch.device("cuda", 0)) is not None
