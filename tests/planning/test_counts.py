"""Counts that were kept are those that would be counted again, and are used for nothing else.

Run: pytest tests/planning/test_counts.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from config.studies import ROOT

from titok.config.model import ClassifierModel, VQGANModel
from titok.models import flops
from titok.planning import counts

SMALL = ClassifierModel(channels=(8, 16))


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "_kept", {})


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def test_what_is_kept_is_what_is_counted(tmp_path: Path) -> None:
    vqgan = VQGANModel()
    with counts.kept_in(tmp_path):
        first = counts.classifier_flops(SMALL, 16), counts.vqgan_parts(vqgan, 64)
    assert first == (flops.classifier_flops(SMALL, 16), flops.vqgan_parts(vqgan, 64))
    (path,) = kept(tmp_path)
    written = path.stat().st_mtime_ns
    counts._kept.clear()
    with counts.kept_in(tmp_path):
        assert (counts.classifier_flops(SMALL, 16), counts.vqgan_parts(vqgan, 64)) == first
    assert path.stat().st_mtime_ns == written, "nothing new, nothing written"


def test_looking_up_needs_no_torch(tmp_path: Path) -> None:
    with counts.kept_in(tmp_path):
        found = counts.classifier_flops(SMALL, 16)
    code = (
        "import sys; from pathlib import Path; from titok.config.model import ClassifierModel\n"
        "from titok.planning.counts import classifier_flops, kept_in\n"
        f"with kept_in(Path({str(tmp_path)!r})): print(*classifier_flops(ClassifierModel(channels=(8, 16)), 16))\n"
        "assert 'torch' not in sys.modules"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert tuple(map(int, told.split())) == found


def test_other_settings_and_other_code_are_counted_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with counts.kept_in(tmp_path):
        one = counts.classifier_flops(SMALL, 16)
        assert counts.classifier_flops(SMALL, 32) != one
        assert counts.classifier_flops(ClassifierModel(channels=(8, 32)), 16) != one
    counts._kept.clear()
    monkeypatch.setattr(counts, "counter_sum", lambda: "0" * 64)
    with counts.kept_in(tmp_path):
        assert not counts._kept, "numbers of other code are not looked at"
        assert counts.classifier_flops(SMALL, 16) == one
    assert len(kept(tmp_path)) == 2


def test_counts_of_old_code_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        counts._kept.clear()
        monkeypatch.setattr(counts, "counter_sum", lambda number=number: f"{number:064x}"[::-1])
        with counts.kept_in(tmp_path):
            counts.classifier_flops(SMALL, 16)
    assert len(kept(tmp_path)) == counts._STATES


@pytest.mark.parametrize("content", [b"", b"{cut sho", b"[1, 2]", bytes(8)])
def test_a_damaged_file_costs_time_alone(tmp_path: Path, content: bytes) -> None:
    with counts.kept_in(tmp_path):
        found = counts.classifier_flops(SMALL, 16)
    (path,) = kept(tmp_path)
    path.write_bytes(content)
    counts._kept.clear()
    with counts.kept_in(tmp_path):
        assert counts.classifier_flops(SMALL, 16) == found
    counts._kept.clear()
    with counts.kept_in(tmp_path):
        assert counts._kept, "and the file is whole again"


def test_a_place_that_cannot_be_written_and_no_place_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    for folder in (tmp_path / "file" / "titok", None):
        with counts.kept_in(folder):
            assert counts.classifier_flops(SMALL, 16) == flops.classifier_flops(SMALL, 16)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert counts.cache_folder() is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert counts.cache_folder() == tmp_path / "titok"
