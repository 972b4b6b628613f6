"""The benchmark of checkpoints and logs runs, and its shares follow from what it timed.

Run: pytest tests/test_benchmark_safety.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import safety


def test_shares_follow_from_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "safety.json"
    monkeypatch.setattr(sys, "argv", ["safety", "--quick", "--repeats", "2", "--output", str(output)])
    safety.main()
    found = json.loads(output.read_text())
    assert found["log_share"] == pytest.approx(found["line_seconds"] / (50 * found["step_seconds"]))
    assert found["checkpoint_share"] == pytest.approx(found["save_seconds"] / 300)
    assert found["safety_share"] == pytest.approx(found["log_share"] + found["checkpoint_share"])
    assert found["checkpoint_gib"] > 1e-4
    assert found["provenance"]["device"]["type"] == "cpu"
