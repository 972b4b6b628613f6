"""The Hub: what each of its failures is told as. No test here uses a network; huggingface_hub is played.

Run: pytest tests/runtime/test_download.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from titok.runtime.download import DownloadError, download


def play(monkeypatch: pytest.MonkeyPatch, outcome: object) -> list[tuple[object, ...]]:
    calls: list[tuple[object, ...]] = []

    def hf_hub_download(*arguments: object, **options: object) -> object:
        calls.append((*arguments, options))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
    return calls


def test_a_file_that_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = play(monkeypatch, "/cache/model.safetensors")
    assert download("a/b", "model.safetensors", tmp_path) == Path("/cache/model.safetensors")
    assert calls == [("a/b", "model.safetensors", {"local_dir": tmp_path})]


def test_a_file_that_the_repository_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing(huggingface_hub.errors.EntryNotFoundError):
        def __init__(self) -> None:
            pass

    play(monkeypatch, Missing())
    assert download("a/b", "config.json") is None


@pytest.mark.parametrize(
    "error", [LocalEntryNotFoundError("no route\nlong story"), OSError("no route"), RuntimeError("no route")]
)
def test_no_network(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    play(monkeypatch, error)
    with pytest.raises(DownloadError, match=r"config\.json of a/b cannot be downloaded \(no route\); connect"):
        download("a/b", "config.json")


def test_no_such_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(huggingface_hub.errors.RepositoryNotFoundError):
        def __init__(self) -> None:
            pass

    play(monkeypatch, Gone())
    with pytest.raises(DownloadError, match="no repository 'a/b'"):
        download("a/b", "config.json")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(DownloadError, match="pip install huggingface_hub"):
        download("a/b", "config.json")
