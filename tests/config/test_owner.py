"""A results folder belongs to one study file; another one of the same name is refused and nothing is touched.

Run: pytest tests/config/test_owner.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from titok.config.owner import OwnerError, check_owner, write_owner


def test_an_unclaimed_folder_is_free(tmp_path: Path) -> None:
    check_owner(tmp_path / "results", "config/a.yaml")
    assert not (tmp_path / "results").exists(), "looking leaves no trace"


def test_the_owner_may_come_back_also_by_another_spelling(tmp_path: Path) -> None:
    write_owner(tmp_path, "config/a.yaml")
    check_owner(tmp_path, "./config/../config/a.yaml")
    assert json.loads((tmp_path / "study.json").read_text()) == {"study_file": "config/a.yaml"}
    assert [path.name for path in tmp_path.iterdir()] == ["study.json"]


def test_another_file_is_refused_with_the_ways_out(tmp_path: Path) -> None:
    write_owner(tmp_path, "config/a.yaml")
    with pytest.raises(OwnerError) as caught:
        check_owner(tmp_path, "config/b.yaml")
    message = str(caught.value)
    for word in (str(tmp_path), "config/a.yaml", "config/b.yaml", "nothing was touched", "its key `study`"):
        assert word in message


def test_a_link_to_what_is_gone_is_told(tmp_path: Path) -> None:
    """A disk that is not mounted, or scratch that was emptied."""
    (tmp_path / "results").symlink_to("scratch")
    with pytest.raises(OwnerError, match=r"results is a link to scratch, which is not there; mount or make"):
        check_owner(tmp_path / "results" / "digits", "config/a.yaml")
    (tmp_path / "scratch").mkdir()
    check_owner(tmp_path / "results" / "digits", "config/a.yaml")
    write_owner(tmp_path / "results" / "digits", "config/a.yaml")
    assert (tmp_path / "scratch" / "digits" / "study.json").exists()


def test_a_claim_is_written_once(tmp_path: Path) -> None:
    write_owner(tmp_path, "config/a.yaml")
    write_owner(tmp_path, "config/b.yaml")
    assert json.loads((tmp_path / "study.json").read_text())["study_file"] == "config/a.yaml"


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"study_file": 3}', "not json"])
def test_a_damaged_claim_is_told_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(OwnerError, match=r"study\.json.*delete it"):
        check_owner(tmp_path, "config/a.yaml")
