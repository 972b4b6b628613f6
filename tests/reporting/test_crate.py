"""A finished study as an RO-Crate: what is in it, how it reads by the standard, and what is refused.

Run: pytest tests/reporting/test_crate.py
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from rocrate.rocrate import ROCrate

from titok.errors import ScoreError
from titok.reporting.crate import PROFILE, write_crate

ROOT = Path(__file__).parents[2]


@pytest.fixture
def finished(tree):
    (tree.root / "report.html").write_text("<html></html>")
    tree.json("claims.json", {"format": 1, "summary": {}, "claims": []})
    model = tree.root / "tokenizers/l2/seed0/stage1/model.safetensors"
    model.write_bytes(b"weights")
    return tree


def test_files_of_operating_systems_stay_out(finished, tmp_path):
    (finished.root / "scores" / "._seed0.json").write_bytes(b"\0\5\x16\7 of macOS")
    (finished.root / "tokenizers" / "Thumbs.db").write_bytes(b"of Windows")
    pack(finished, tmp_path / "study.zip")
    with zipfile.ZipFile(tmp_path / "study.zip") as archive:
        assert not [name for name in archive.namelist() if "._seed0" in name or "Thumbs" in name]


def pack(tree, output, **options):
    options = {"title": "A study", "description": "small", "root": ROOT, **options}
    return write_crate(tree.root, ROOT / "config/digits.yaml", output, **options)


def test_the_crate_holds_scores_settings_and_workflow_but_no_weights(finished, tmp_path):
    count = pack(finished, tmp_path / "study.zip")
    with zipfile.ZipFile(tmp_path / "study.zip") as archive:
        names = set(archive.namelist())
    assert {"ro-crate-metadata.json", "Snakefile", "config/digits.yaml", "results/report.html"} <= names
    assert "workflow/rules/report.smk" in names
    assert "results/scores/reconstruction/l2/stage1/seed0.json" in names
    assert "results/tokenizers/l2/seed0/stage1/manifest.json" in names
    assert not any(name.endswith(".safetensors") for name in names)
    assert count > 60
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix) == ["study.zip"]


def test_weights_come_along_when_asked_for(finished, tmp_path):
    pack(finished, tmp_path / "study.zip", with_models=True)
    with zipfile.ZipFile(tmp_path / "study.zip") as archive:
        assert archive.read("results/tokenizers/l2/seed0/stage1/model.safetensors") == b"weights"


def test_the_standards_own_library_reads_it(finished, tmp_path):
    pack(finished, tmp_path / "study.zip")
    shutil.unpack_archive(tmp_path / "study.zip", tmp_path / "open")
    crate = ROCrate(tmp_path / "open")
    assert crate.name == "A study"
    assert crate.license == "https://spdx.org/licenses/Apache-2.0"
    assert crate.mainEntity.id == "Snakefile"
    [action] = crate.get_by_type("CreateAction")
    assert action["instrument"].id == "Snakefile"
    assert {entity.id for entity in action["object"]} >= {"config/digits.yaml", "config/paper.csv"}
    assert "results/report.html" in {entity.id for entity in action["result"]}
    assert action["endTime"] == "2026-01-01T00:00:00+00:00"
    assert "0123456789abcdef" in action["description"]
    graph = json.loads((tmp_path / "open/ro-crate-metadata.json").read_text())["@graph"]
    [dataset] = [entity for entity in graph if entity["@id"] == "./"]
    assert PROFILE in json.dumps(dataset["conformsTo"])
    assert any(entity["@type"] == "ScholarlyArticle" and "32 Tokens" in entity["name"] for entity in graph)


def test_the_workflow_must_be_where_it_runs(finished, tmp_path):
    with pytest.raises(ScoreError, match=r"has no CITATION\.cff, no Snakefile.*in the project's folder"):
        pack(finished, tmp_path / "study.zip", root=tmp_path)
    assert not (tmp_path / "study.zip").exists()


def test_unfinished_studies_are_refused(tree, tmp_path):
    with pytest.raises(ScoreError, match=r"has no report\.html: finish the study first"):
        pack(tree, tmp_path / "study.zip")
