"""Weights and references are known by their sums: another file is noticed, another place or time is not.

Run: pytest tests/config/test_file_sums.py
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from config.studies import changed, study_of, tiny_document

from titok.config.file_sums import FileSums
from titok.config.jobs import job_names
from titok.config.targets import Targets

EXTRACTOR = "evaluation.extractor"
PERCEPTUAL = "tokenizers.b2-final.stage2.losses.perceptual"


def test_a_sum_is_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"weights")
    assert FileSums().of(str(tmp_path / "a")) == hashlib.sha256(b"weights").hexdigest()
    assert FileSums().of(str(tmp_path / "absent")) is None
    of_folder = FileSums().of(str(tmp_path))
    assert of_folder == FileSums().of(str(tmp_path))
    (tmp_path / "b").write_bytes(b"")
    assert FileSums().of(str(tmp_path)) not in (of_folder, None), "of a folder, what its entries say of themselves"


def test_a_known_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, memory = tmp_path / "a", tmp_path / "results" / "files.json"
    file.write_bytes(b"one")
    sums = FileSums(memory)
    first = sums.of(str(file))
    assert not memory.exists(), "planning writes nothing"
    sums.remember()
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert FileSums(memory).of(str(file)) == first


@pytest.mark.parametrize("way", ["written", "moved", "copied"])
def test_weights_of_the_same_size_and_time_are_others(tmp_path: Path, way: str) -> None:
    """Unpacked from archives whose members all have one time, as those that are made to be the same everywhere."""
    file, other, memory = tmp_path / "a", tmp_path / "b", tmp_path / "files.json"
    for path, content in ((file, b"one"), (other, b"two")):
        path.write_bytes(content)
        os.utime(path, (315532800, 315532800))
    sums = FileSums(memory)
    sums.of(str(file))
    sums.remember()
    match way:
        case "written":
            file.write_bytes(b"two")
            os.utime(file, (315532800, 315532800))
        case "moved":
            other.replace(file)
        case "copied":
            shutil.copy2(other, file)
    assert FileSums(memory).of(str(file)) == hashlib.sha256(b"two").hexdigest()


def test_a_memory_without_the_inodes_time_still_stands_for_absent_files(tmp_path: Path) -> None:
    memory = tmp_path / "files.json"
    memory.write_text('{"/absent": {"bytes": 3, "mtime_ns": 5, "sha256": "abc"}}')
    assert FileSums(memory).of("/absent") == "abc"


def test_an_absent_file_is_as_it_was(tmp_path: Path) -> None:
    file, memory = tmp_path / "a", tmp_path / "files.json"
    file.write_bytes(b"one")
    sums = FileSums(memory)
    first = sums.of(str(file))
    sums.remember()
    file.unlink()
    again = FileSums(memory)
    assert again.of(str(file)) == first
    again.remember()
    assert FileSums(memory).of(str(file)) == first


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": {"bytes": 1}}'])
def test_a_damaged_memory_is_made_anew(tmp_path: Path, text: str) -> None:
    file, memory = tmp_path / "a", tmp_path / "files.json"
    file.write_bytes(b"one")
    memory.write_text(text)
    sums = FileSums(memory)
    assert sums.of(str(file)) == hashlib.sha256(b"one").hexdigest()
    sums.remember()
    assert list(json.loads(memory.read_text())) == [str(file)]


def study_with(folder: Path) -> dict[str, Any]:
    """A study whose scores and stage 2 look through files of ``folder``."""
    document = changed(tiny_document(), EXTRACTOR, {"kind": "inception", "weights": str(folder / "inception.pth")})
    document = changed(document, "evaluation.reference", {"path": str(folder / "reference.npz")})
    return changed(
        document, PERCEPTUAL, {"kind": "convnext_s", "weights": {"convnext_s": {"path": str(folder / "convnext.pth")}}}
    )


def fingerprints(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    study = study_of(document)
    return {(kind, name): Targets(study).settings(kind, name) for kind, name in job_names(study)}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("inception.pth", "reference.npz", "convnext.pth"):
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.mark.parametrize(
    ("name", "concerned"),
    [
        ("inception.pth", {("score", "all"), ("score", "reconstructions"), ("score", "samples")}),
        ("reference.npz", {("score", "all"), ("score", "samples")}),
        ("convnext.pth", {("stage2", "b2-final")}),
    ],
)
def test_another_file_reaches_the_jobs_that_read_it(files: Path, name: str, concerned: set[tuple[str, str]]) -> None:
    before = fingerprints(study_with(files))
    (files / name).write_bytes(b"another one")
    after = fingerprints(study_with(files))
    assert {job for job in after if after[job] != before[job]} == concerned


def test_another_place_or_time_changes_nothing(files: Path, tmp_path: Path) -> None:
    before = fingerprints(study_with(files))
    shutil.copytree(files, tmp_path / "moved")  # fresh times, other paths
    assert fingerprints(study_with(tmp_path / "moved")) == before


def test_a_stated_sum_is_the_sum(files: Path) -> None:
    document = study_with(files)
    digest = hashlib.sha256(b"reference.npz").hexdigest()
    stated = changed(document, "evaluation.reference", {"path": str(files / "reference.npz"), "sha256": digest})
    assert fingerprints(stated) == fingerprints(document)


def test_jobs_are_told_where_files_lie_now(files: Path) -> None:
    told = json.loads(Targets(study_of(study_with(files))).execution("score", "samples"))
    assert told == {
        "evaluation": {
            "reference": {"path": str(files / "reference.npz")},
            "extractor": {"weights": str(files / "inception.pth")},
            "batch_size": 50,
        }
    }
