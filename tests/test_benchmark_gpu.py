"""The GPU command on a CPU: everything is measured in its ways, refusals are clear, and its file becomes a page.

Run: pytest tests/test_benchmark_gpu.py
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from benchmarks import gpu
from titok.errors import MachineError, OptionError

ROOT = Path(__file__).parents[1]


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    for key in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(key, "")  # so that what the command sets is taken back
        monkeypatch.delenv(key)
    monkeypatch.setattr(sys, "argv", ["gpu", *words])
    gpu.main()


def test_a_machine_without_a_gpu_is_told_so_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MachineError, match=r"torch sees no CUDA device: .*--device cpu --tiny --output FILE"):
        run(monkeypatch)
    with pytest.raises(OptionError, match="models of paper size are for a GPU"):
        run(monkeypatch, "--device", "cpu")
    with pytest.raises(OptionError, match="worth keeping in docs/measurements; give --output"):
        run(monkeypatch, "--device", "cpu", "--tiny")


def test_a_devices_name_becomes_a_files() -> None:
    assert gpu.slug("NVIDIA A100-SXM4-40GB") == "nvidia-a100-sxm4-40gb"
    assert gpu.slug("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3"


@pytest.fixture
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pages_of_gpus", ROOT / "docs" / "fill_numbers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_way_is_measured_and_becomes_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: ModuleType
) -> None:
    output = tmp_path / "measurements" / "gpu-none.json"
    output.parent.mkdir()
    common = ("--device", "cpu", "--tiny", "--ways", "bf16", "fp32", "--only", "code")
    run(monkeypatch, *common, "--output", str(output))
    report = json.loads(output.read_text())
    rows = {(row["name"], row["way"]): row for row in report["rows"]}
    # "code" is in encode, decode and both ways to have codes in stage 1.
    named = (
        "TiTok tiny encode",
        "TiTok tiny decode",
        "train tiny stage1, codes online",
        "train tiny stage1, codes stored",
    )
    assert {name for name, _ in rows} >= set(named)
    for name in named:
        assert rows[name, "fp32"]["gflop"] == rows[name, "bf16"]["gflop"] > 0
        assert rows[name, "bf16"]["precision"] == "bf16"
    group = report["one_process_group"]
    assert group["backend"] == "gloo"
    assert min(group[key] for key in ("alone_seconds", "group_seconds", "all_reduce_seconds")) > 0
    assert group["all_reduce_numbers"] > 1000
    assert report["protocol"]["training_batch"] == 2
    assert report["provenance"]["packages"]["torch"]

    monkeypatch.setattr(pages, "DOCS", tmp_path)
    text = pages.block("gpu", [])
    assert "TiTok tiny encode" in text
    assert "bf16" in text
    output.unlink()
    assert pages.block("gpu", []) == "Not measured: no `docs/measurements/gpu-*.json` is there yet.\n"


def test_what_takes_too_much_memory_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: ModuleType
) -> None:
    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(gpu, "measure", exhausted)
    output = tmp_path / "measurements" / "gpu-small.json"
    output.parent.mkdir()
    run(monkeypatch, "--device", "cpu", "--tiny", "--ways", "fp32", "--only", "encode", "--output", str(output))
    [row] = json.loads(output.read_text())["rows"]
    assert row["failed"] == "out of memory"
    monkeypatch.setattr(pages, "DOCS", tmp_path)
    assert "out of memory" in pages.block("gpu", [])


@pytest.mark.long
def test_compiled_models_are_timed_with_the_operations_counted_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "gpu.json"
    run(
        monkeypatch,
        "--device",
        "cpu",
        "--tiny",
        "--ways",
        "bf16",
        "bf16-compiled",
        "--only",
        "encode",
        "--output",
        str(output),
    )
    as_it_is, compiled = json.loads(output.read_text())["rows"]
    assert (as_it_is["way"], compiled["way"]) == ("bf16", "bf16-compiled")
    assert as_it_is["gflop"] == compiled["gflop"]
