"""Tables of another kind than a verb reads are refused in a sentence; nothing of them is taken for nothing.

Run: pytest tests/commands/test_wrong_tables.py
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from titok.cli import main
from titok.commands import score_lengths
from titok.commands.score_lengths import _of_one_length
from titok.errors import ScoreError

CLAIMS = Path(__file__).parents[2] / "config" / "claims.yaml"


def refusal(*words: object) -> str:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return str(caught.value.code)


@pytest.mark.parametrize("content", [{}, [], {"images": []}, {"vqgan": None}, {"vqgan": {"parameters": 3}}])
def test_facts_of_nobody(tmp_path: Path, content: object) -> None:
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(content))
    assert f"--facts is {path}, which `titok facts` did not write" in refusal("claims", "--facts", path)


@pytest.mark.parametrize("content", [b"a,b\n1,2,3\n4", b"", b"\xff\xfe\x00", b"one\ntwo\n"])
def test_published_numbers_of_nobody(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "facts.json").write_text(json.dumps({"vqgan": {"bits_per_image": 3}}))
    path = tmp_path / "paper.csv"
    path.write_bytes(content)
    said = refusal("claims", "--facts", tmp_path / "facts.json", "--paper", path)
    assert said.startswith(f"titok: ScoreError: {path}")


def table(path: Path, *columns: str) -> Path:
    path.write_text(f"image,key,label,{','.join(columns)},tokens\n0,a,1,{','.join('1' for _ in columns)},3\n")
    return path


def test_tables_beside(tmp_path: Path) -> None:
    keys = np.array(["a"])
    one, other = table(tmp_path / "one.csv", "l1@2"), table(tmp_path / "other.csv", "l1@2")
    found = _of_one_length([one, table(tmp_path / "four.csv", "l1@4")], "l1", keys)
    assert found is not None
    with pytest.raises(ScoreError, match=r"other\.csv is of a second tokenizer of 2 tokens; name one of each length"):
        _of_one_length([one, other], "l1", keys)
    (tmp_path / "picture.csv").write_bytes(bytes(range(256)))
    with pytest.raises(ScoreError, match=r"picture\.csv"):
        _of_one_length([tmp_path / "picture.csv"], "l1", keys)


@pytest.mark.parametrize("wrong", ["beside", "complexity"])
def test_a_wrong_table_does_not_cost_the_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text("what,is,this\n1,2,3\n")

    def too_late(*given: Any, **named: Any) -> None:
        raise AssertionError("images were looked at before the tables")

    table_of_people = SimpleNamespace(path=path, sha256=None) if wrong == "complexity" else None
    job = SimpleNamespace(
        lengths=SimpleNamespace(criterion="l1", complexity=table_of_people, jpeg_quality=90),
        evaluation=SimpleNamespace(lpips=None, extractor=None, batch_size=1),
        dataset=None,
    )
    opened = {
        "load_job": job,
        "_choosing": SimpleNamespace(criteria=[SimpleNamespace(name="l1")], lengths=(1, 2)),
        "open_images": SimpleNamespace(keys=np.array(["a"])),
        **dict.fromkeys(("select_device", "load_image_tokenizer", "open_lpips", "open_extractor")),
    }
    for name, found in opened.items():
        monkeypatch.setattr(score_lengths, name, lambda *given, found=found, **named: found)
    monkeypatch.setattr(score_lengths, "score_lengths", too_late)
    monkeypatch.setattr(score_lengths, "pixels_of", lambda *given: iter(()))
    options = SimpleNamespace(beside=[path] if wrong == "beside" else [], **dict.fromkeys(
        ("config", "execution", "device", "model", "judge", "data", "workers", "pictures", "per_image")
    ))  # fmt: skip
    with pytest.raises(ScoreError, match=r"wrong\.csv"):
        score_lengths.lengths(options)  # type: ignore[arg-type]
