"""Rates: shares of a peak, and measurements of the nearest work.

Run: pytest tests/planning/test_device_rates.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from titok.planning.device_rates import PeakShare, find_rates, read_rates
from titok.planning.graph import PlanError
from titok.planning.work import Work

ASSUMED = PeakShare("A100", 0.5)


def row(name: str, gflop: float, seconds: float, precision: str = "fp32", count: int = 1) -> dict[str, Any]:
    return {"name": name, "gflop": gflop, "seconds": seconds, "precision": precision, "count": count}


def report(path: Path, rows: list[dict[str, Any]], device: str = "NVIDIA A100-SXM4-40GB", kind: str = "cuda") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"device": {"type": kind, "name": device}, "rows": rows, "matmul_tflops": {"fp32": 1.0}}
    path.write_text(json.dumps(content))
    return path


def test_a_share_of_the_peak_in_each_arithmetic() -> None:
    work = Work("training", "stage1", 1, {"half": 312e12, "fp32": 19.5e12})
    assert ASSUMED.seconds(work) == pytest.approx(4.0)
    assert "50% of an A100's peak" in ASSUMED.source
    assert "half 312" in ASSUMED.source


@pytest.mark.parametrize(
    ("device", "utilisation", "words"), [("K80", 0.3, "'K80'; allowed: A100"), ("H100", 1.5, "1.5")]
)
def test_what_cannot_be_assumed(device: str, utilisation: float, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        PeakShare(device, utilisation)


def test_measured_rates_are_of_the_nearest_model_in_the_same_arithmetic(tmp_path: Path) -> None:
    rows = [
        row("train s-128 stage1, codes online", 100, 1.0, "bf16"),
        row("train l-32 stage1, codes online", 1000, 2.0, "bf16"),
        row("train l-32 stage1, codes online", 1000, 50.0, "fp32"),
        row("train l-32 stage1, codes stored", 900, 0.1, "bf16"),
    ]
    rates = read_rates(report(tmp_path / "a.json", rows), ASSUMED)
    large = Work("training", "stage1", 10, {"half": 10 * 900e9})
    assert rates.seconds(large) == pytest.approx(10 * 900 / 500)
    small = Work("training", "stage1", 10, {"half": 10 * 120e9})
    assert rates.seconds(small) == pytest.approx(10 * 120 / 100)
    in_fp32 = Work("training", "stage1", 10, {"fp32": 10 * 900e9})
    assert rates.seconds(in_fp32) == pytest.approx(10 * 900 / 20)
    assert "NVIDIA A100-SXM4-40GB" in rates.source
    assert "a.json" in rates.source


def test_work_that_was_not_measured_is_assumed(tmp_path: Path) -> None:
    rates = read_rates(report(tmp_path / "a.json", [row("train l-32 stage2", 10, 1.0)]), ASSUMED)
    work = Work("scoring", "generation", 1, {"fp64": 19.5e12})
    assert rates.seconds(work) == ASSUMED.seconds(work) == pytest.approx(2.0)


def test_measurements_are_found_by_device(tmp_path: Path) -> None:
    assert find_rates(tmp_path / "none", ASSUMED) is None
    (tmp_path / "other.json").write_text(json.dumps({"anything": 1}))
    report(tmp_path / "cpu" / "a.json", [], kind="cpu")
    (tmp_path / "._other.json").write_bytes(b"\0\5\x16\7")  # what macOS leaves on foreign disks is no JSON
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "a.json").write_text("{half")
    report(tmp_path / "h100" / "a.json", [], device="NVIDIA H100 80GB HBM3")
    assert find_rates(tmp_path, ASSUMED) is None
    found = find_rates(tmp_path, PeakShare("H100", 0.3))
    assert found is not None
    assert found.path == tmp_path / "h100" / "a.json"


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"no\.json .*does not exist.*python -m benchmarks"):
        read_rates(tmp_path / "no.json", ASSUMED)
    with pytest.raises(PlanError, match="is no report"):
        read_rates(report(tmp_path / "cpu.json", [], kind="cpu"), ASSUMED)
