"""Provenance: complete, cheap, torch-free, and silent about people and machines."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from titok.runtime.files import FileError
from titok.runtime.manifest import _code_version, provenance
from titok.runtime.sums import sha256_json

SCRIPT = """
import json, sys, time
from titok.runtime.manifest import provenance
start = time.perf_counter()
record = provenance(seed=1, config={}, device="cuda:0")
print(json.dumps({"seconds": time.perf_counter() - start, "torch": "torch" in sys.modules, "record": record}))
"""


def run_elsewhere(directory: Path, source: Path) -> dict:
    """Asks a fresh interpreter for a provenance record, with ``titok`` found at ``source``."""
    environment = os.environ | {"PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=directory, env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_says_what_was_used(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    record = provenance(seed=3, config={"a": 1}, inputs={"tokenizer": tmp_path / "model.safetensors"}, device="cpu")
    assert record["seed"] == 3
    assert record["config_sha256"] == sha256_json({"a": 1})
    assert record["inputs"] == {
        "tokenizer": {
            "file": "model.safetensors",
            "bytes": 7,
            "sha256": hashlib.sha256(b"weights").hexdigest(),
        }
    }
    assert record["device"]["type"] == "cpu"
    assert record["packages"]["python"] == platform.python_version()
    assert {"numpy", "torch", "pillow", "titok-suite"} <= record["packages"].keys()
    age = datetime.now(UTC) - datetime.fromisoformat(record["created"])
    assert abs(age.total_seconds()) < 60
    json.dumps(record, allow_nan=False)


def test_names_no_person_host_or_folder(tmp_path):
    (tmp_path / "in.npz").write_bytes(b"x")
    text = json.dumps(
        provenance(seed=0, config={"out": str(tmp_path)}, inputs={"x": tmp_path / "in.npz"}, device="cpu")
    )
    user = getpass.getuser()
    private = [str(tmp_path), str(Path.home()), platform.node(), str(Path(__file__).parents[2])]
    assert "/" not in text.replace("/s", "")  # No path of any kind.
    # Short names such as "vm" could be part of a word.
    assert not [name for name in [*private, user] if len(name) > 4 and name in text]


def test_records_do_not_share_state():
    provenance(seed=0, config={})["packages"]["numpy"] = "altered"
    assert provenance(seed=0, config={})["packages"]["numpy"] != "altered"


def test_a_missing_input_is_an_error(tmp_path):
    with pytest.raises(FileError, match=r"gone\.npz does not exist"):
        provenance(seed=0, config={}, inputs={"tokens": tmp_path / "gone.npz"})


def test_is_cheap_and_torch_free_outside_a_checkout(tmp_path):
    copy = tmp_path / "site-packages"
    shutil.copytree(Path(__file__).parents[2] / "titok", copy / "titok", ignore=shutil.ignore_patterns("__pycache__"))
    answer = run_elsewhere(tmp_path, copy)
    assert answer["torch"] is False
    assert answer["record"]["code"] == {"commit": None, "modified": None}
    assert answer["record"]["device"] == {"type": "cuda:0"}
    assert answer["seconds"] < 0.5  # 0.02 on an idle machine.


@pytest.fixture
def checkout(tmp_path):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")

    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.example")
        return subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()

    git("init", "-q")
    (tmp_path / "code.py").write_text("1")
    (tmp_path / ".gitignore").write_text("results\n")
    _code_version.cache_clear()
    yield tmp_path, git
    _code_version.cache_clear()


def test_commit_and_modifications(checkout):
    root, git = checkout
    assert _code_version(root) == {"commit": None, "modified": True}
    git("add", ".")
    git("commit", "-qm", "x")
    (root / "results").mkdir()
    (root / "results" / "score.json").write_text("{}")
    for content, modified in (("1", False), ("2", True)):
        (root / "code.py").write_text(content)
        _code_version.cache_clear()
        assert _code_version(root) == {"commit": git("rev-parse", "HEAD"), "modified": modified}


@pytest.mark.parametrize(
    ("name", "modified"),
    [
        ("config/mine.yaml", False),
        ("notes and plots.py", False),
        ("own/titok/data.py", False),
        ("titok/extra.py", True),
        ("titok/new part/extra ü.py", True),
        ("workflow/rules/own.smk", True),
    ],
)
def test_only_code_that_nobody_tracks_counts(checkout, name, modified):
    root, git = checkout
    git("add", ".")
    git("commit", "-qm", "x")
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("mine")
    _code_version.cache_clear()
    assert _code_version(root) == {"commit": git("rev-parse", "HEAD"), "modified": modified}


def test_the_checkout_of_another_project_is_not_ours(checkout):
    root, git = checkout
    git("add", ".")
    git("commit", "-qm", "x")
    (root / "lib").mkdir()
    assert _code_version(root / "lib") == {"commit": None, "modified": None}


def test_git_is_asked_once():
    provenance(seed=0, config={})
    start = time.perf_counter()
    provenance(seed=0, config={})
    assert time.perf_counter() - start < 0.05
