"""`titok check` looks for the files that a study names; without them it is still in order.

Run: pytest tests/config/test_absent.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
from config.studies import changed, study_of, tiny_document

from titok.cli import main
from titok.config.absent import absent_files


def test_nothing_is_named() -> None:
    assert absent_files(study_of(tiny_document())) == []


def test_absent_files_are_told_and_the_study_is_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, missing = tmp_path / "there [1].npz", tmp_path / "missing.npz"
    there.touch()
    for path, expected in ((there, []), (missing, [str(missing)])):
        document = changed(tiny_document(), "evaluation.reference", {"path": str(path)})
        assert absent_files(study_of(document)) == expected
    tokens = {"num_latent_tokens": 4, "codebook_size": 12, "tokens": {"path": str(missing)}}
    theirs = {"reconstructions": str(there), "source": "a command", "licence": "MIT", **tokens}
    assert absent_files(study_of(changed(tiny_document(), "external", {"theirs": theirs}))) == [str(missing)]
    main(["check", "config/imagenet256.yaml"])
    said = capsys.readouterr()
    assert "is in order" in said.out
    assert "not on this machine, needed where it runs: " in said.err
