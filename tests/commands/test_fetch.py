"""`titok fetch`: downloads, compares, records; the Hub is played by a folder.

Run: pytest tests/commands/test_fetch.py
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from titok.cli import main
from titok.commands import fetch
from titok.config.sources import SOURCES_FILE, load_sources
from titok.models import hub
from titok.runtime.download import DownloadError, download_url

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


def test_files_with_an_address_go_to_a_folder_once(
    sources: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, str | None]] = []

    def download(url: str, target: Path, sha256_prefix: str | None = None) -> None:
        asked.append((url, sha256_prefix))
        target.parent.mkdir()
        target.write_bytes(CONTENT)

    monkeypatch.setattr(fetch, "download_url", download)
    folder = sources.parent / "weights"
    for _ in range(2):
        main(["fetch", "inception", "--sources", str(sources), "--output", str(folder), "--record"])
    assert len(asked) == 1
    assert asked[0][1] == "6726825d"
    assert [file.name for file in folder.iterdir()] == ["pt_inception-2015-12-05-6726825d.pth"]
    assert load_sources(sources).files["inception"].sha256 == SUM
    assert "its SHA-256 is the recorded one" in capsys.readouterr().out


def test_a_download_with_another_sum_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(CONTENT)
    address = (tmp_path / "there").as_uri()
    download_url(address, tmp_path / "good" / "file", SUM[:8])
    assert (tmp_path / "good" / "file").read_bytes() == CONTENT
    with pytest.raises(DownloadError, match="invalid hash value"):
        download_url(address, tmp_path / "bad" / "file", "0" * 8)
    assert not list((tmp_path / "bad").iterdir())
    with pytest.raises(DownloadError, match="connect to the network, or copy the file to"):
        download_url((tmp_path / "nowhere").as_uri(), tmp_path / "bad" / "file")
