"""`titok fetch`: downloads, compares, records; the Hub is played by a folder.

Run: pytest tests/commands/test_fetch.py
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from titok.cli import main
from titok.config.sources import SOURCES_FILE, load_sources
from titok.models import hub

NAME = "tokenizer_titok_l32"
CONTENT = b"weights"
SUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def download(repository: str, file: str, directory: Path | None = None) -> Path:
        assert repository == "yucornetto/tokenizer_titok_l32_imagenet"
        target = (directory or tmp_path / "cache") / file
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(CONTENT)
        return target

    monkeypatch.setattr(hub, "download", download)
    copy = tmp_path / "sources.yaml"
    copy.write_text(SOURCES_FILE.read_text())
    return copy


def test_nothing_is_recorded_unless_asked(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["fetch", NAME, "--sources", str(sources), "--output", str(sources.parent / "here")])
    assert f"SHA-256 {SUM}, nothing recorded" in capsys.readouterr().out
    assert sources.read_text() == SOURCES_FILE.read_text()
    assert sorted(file.name for file in (sources.parent / "here").iterdir()) == ["config.json", "model.safetensors"]


def test_a_recorded_sum_is_compared_and_never_replaced(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["fetch", NAME, "--record", "--sources", str(sources)])
    assert load_sources(sources).models[NAME].sha256 == SUM
    capsys.readouterr()
    main(["fetch", NAME, "--record", "--sources", str(sources)])
    assert "is the recorded one" in capsys.readouterr().out
    sources.write_text(sources.read_text().replace(SUM, "0" * 64))
    with pytest.raises(SystemExit, match=f"has SHA-256 {SUM}, but {'0' * 64} is pinned"):
        main(["fetch", NAME, "--record", "--sources", str(sources)])
    assert load_sources(sources).models[NAME].sha256 == "0" * 64


def test_unknown_names(sources: Path) -> None:
    with pytest.raises(SystemExit, match="has no 'titok'; allowed: tokenizer_titok_l32, "):
        main(["fetch", "titok", "--sources", str(sources)])
