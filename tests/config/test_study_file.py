"""Which file a run is about: `--configfile` or `--config study=`, one of them, and nothing merged into it.

Run: pytest tests/config/test_study_file.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
from config.studies import ROOT

from titok.config.load import ConfigError
from titok.config.shipped import shipped
from titok.config.study_file import study_file

HERE = Path("/project")


@pytest.mark.parametrize(
    ("configfiles", "given", "expected"),
    [
        (["/project/config/mine.yaml"], {}, "config/mine.yaml"),
        (["/elsewhere/mine.yaml"], {}, "/elsewhere/mine.yaml"),
        ([], {"study": "my study.yaml"}, "my study.yaml"),
        (["/project/a.yaml"], {"study": "a.yaml"}, "a.yaml"),
        (["/project/a.yaml", "/project/b/../a.yaml"], {}, "b/../a.yaml"),
        (["/project/-x.yaml"], {}, "./-x.yaml"),
        ([], {"study": "-x.yaml"}, "./-x.yaml"),
    ],
)
def test_one_file_is_named(configfiles: list[str], given: dict[str, object], expected: str) -> None:
    assert study_file(configfiles, given, HERE) == expected


@pytest.mark.parametrize(
    ("configfiles", "given", "message"),
    [
        (["/project/a.yaml", "/project/over.yaml"], {}, r"2 study files were named: .*a\.yaml, .*over\.yaml; .*merged"),
        (["/project/a.yaml"], {"study": "b.yaml"}, r"2 study files were named: .*a\.yaml, b\.yaml"),
        (["/project/a.yaml"], {"seeds": [5], "nonsense": 1}, "knows `study` only, found nonsense, seeds; change the"),
        ([], {"seeds": [5]}, "knows `study` only, found seeds"),
        ([], {"study": 12}, "--config study is 12; give the path"),
        ([], {"study": None}, "--config study is None; give the path"),
        ([], {"study": ["a.yaml"]}, "give the path"),
    ],
)
def test_what_would_be_dropped_is_refused(configfiles: list[str], given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        study_file(configfiles, given, HERE)


def test_the_default_is_the_working_folders_own_or_the_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert study_file([], {}, tmp_path) == str(ROOT / "config" / "digits.yaml")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "digits.yaml").touch()
    assert study_file([], {}, tmp_path) == "config/digits.yaml"
    assert shipped("config/paper.csv") == ROOT / "config" / "paper.csv"
    assert shipped("config/no_such_file.csv") == Path("config/no_such_file.csv"), "told by whoever reads it"
