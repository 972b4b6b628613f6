"""`titok check | resolve | schema`.

Run: pytest tests/commands/test_study.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from config.studies import TINY

from titok.cli import main
from titok.commands.study import study_schema
from titok.config.jobs import job
from titok.config.load import load_job, load_study
from titok.config.training_jobs import Stage1Job


def test_check_says_what_a_study_trains(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", str(TINY)])
    assert "study 'tiny' is in order: 5 tokenizers, 3 generators, 4 samplers" in capsys.readouterr().out


def test_check_tells_every_mistake_without_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(TINY.read_text().replace("title:", "titel:").replace("resize: 18", "resize: big"))
    with pytest.raises(SystemExit) as caught:
        main(["check", str(path)])
    assert str(caught.value.code).startswith(f"titok: ConfigError: {path}: 3 problem(s) found:")


def test_resolve_writes_every_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "s2.yaml"
    main(["resolve", str(TINY), "stage1", "s2", "--output", str(output)])
    assert load_job(output, Stage1Job) == job(load_study(TINY), "stage1", "s2")
    main(["resolve", str(TINY), "stage1", "s2"])
    assert capsys.readouterr().out == output.read_text()


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("stage1", "s3", "has no stage1 's3'; allowed: b2-final, s1, s2"),
        ("stage2", "s2", "has no stage2 's2'; allowed: b2-final"),
        ("stage9", "s2", "allowed: kinds classifier, data, generator"),
    ],
)
def test_resolve_names_what_there_is(kind: str, name: str, words: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["resolve", str(TINY), kind, name])
    assert words in str(caught.value.code)


def test_schema_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    main(["schema"])
    assert json.loads(capsys.readouterr().out) == study_schema()
