"""Two files about one thing are refused, naming both; they would count as two seeds.

Run: pytest tests/reporting/test_once.py
"""

from __future__ import annotations

import json
import re
import shutil

import pytest

from titok.errors import ScoreError
from titok.reporting.collect import read_scores
from titok.reporting.runs import read_manifests


def test_the_same_record_named_twice(tree):
    path = tree.root / "scores/reconstruction/l2/stage2/seed1.json"
    with pytest.raises(
        ScoreError, match=r"reconstruction records of tokenizer l2, stage stage2, seed 1: .* is given twice"
    ):
        read_scores([path, str(path)])
    with pytest.raises(ScoreError):
        read_scores([*tree.scores, *tree.scores])


@pytest.mark.parametrize(
    "name", ["reconstruction/l2/stage2/seed0.json", "probe/*/seed0.json", "generation/*/*/seed0.json"]
)
def test_a_stray_copy(tree, name):
    path = sorted((tree.root / "scores").glob(name))[0]
    copy = path.with_name("seed0 (copy).json")
    shutil.copy(path, copy)
    with pytest.raises(ScoreError, match=re.escape(str(copy))) as caught:
        read_scores([*tree.scores, copy])
    assert str(path) in str(caught.value)


def test_a_copy_of_another_protocol_is_still_the_same_thing(tree):
    path = tree.root / "scores/reconstruction/l2/stage2/seed0.json"
    record = json.loads(path.read_text())
    record["provenance"] = {}
    other = tree.root / "again.json"
    other.write_text(json.dumps(record))
    with pytest.raises(ScoreError):
        read_scores([path, other])


def test_seeds_and_kinds_are_different_things(tree):
    assert len(read_scores(tree.scores).frame) == len(tree.scores)


def test_manifests_count_once(tmp_path):
    (tmp_path / "a.json").write_text('{"task": "vqgan", "seed": 0}')
    (tmp_path / "b.json").symlink_to(tmp_path / "a.json")
    with pytest.raises(ScoreError, match=r"manifests of one training: .*a\.json and .*b\.json"):
        read_manifests([tmp_path / "a.json", tmp_path / "b.json"])
