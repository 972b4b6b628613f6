"""The benchmark of compute settings runs, and compares each with the same task as it is.

Run: pytest tests/test_benchmark_settings.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import settings


@pytest.mark.long
def test_every_setting_is_measured_against_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "settings.json"
    monkeypatch.setattr(sys, "argv", ["settings", "--quick", "--repeats", "1", "--output", str(output)])
    settings.main()
    rows = json.loads(output.read_text())["rows"]
    names = [row["name"] for row in rows]
    assert {name.split(", ")[1] for name in names} == {
        "as it is",
        "precision: bf16",
        "activation_checkpointing",
        "micro_batch_size: half",
        "channels_last",
    }
    plain = next(row for row in rows if row["name"] == "stage 1, as it is")
    bf16 = next(row for row in rows if row["name"] == "stage 1, precision: bf16")
    assert plain["time_ratio"] == 1.0
    assert bf16["time_ratio"] == pytest.approx(bf16["seconds"] / plain["seconds"], rel=1e-2)
