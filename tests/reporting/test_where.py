"""Claims of several studies side by side, from small evidence folders.

Run: pytest tests/reporting/test_where.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from titok.cli import main
from titok.reporting.claims import write_claims
from titok.reporting.finding import Finding


def finding(name: str, scope: str = "any", **values: Any) -> Finding:
    facts = {"text": f"Claim {name}.", "where": "section 4", "needs": "training", "expression": name}
    return Finding(id=name, scope=scope, **({"verdict": "agrees"} | facts | values))


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    folders = [tmp_path / "one", tmp_path / "other"]
    found = [
        [finding("a", value=-2.5, low=-4.0, high=-1.0, seeds=3), finding("b"), finding("n", scope="imagenet256")],
        [
            finding("a", verdict="differs", value=1.0, low=0.5, high=1.5, seeds=5),
            finding("b", verdict="not run", because="needs scores"),
        ],
    ]
    for folder, findings in zip(folders, found, strict=True):
        folder.mkdir()
        write_claims(findings, folder / "claims.json")
    return folders


def test_each_study_is_a_column_and_a_missing_one_can_be_filled(two: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "where.md"
    main(["where", *map(str, two), "--not-run", "imagenet256", "--output", str(output)])
    lines = output.read_text().splitlines()
    assert lines == [
        "| claim | one | other | imagenet256 |",
        "| --- | --- | --- | --- |",
        "| Claim a. | agrees -2.5 [-4, -1], 3 seeds | differs 1 [0.5, 1.5], 5 seeds | not run |",
        "| Claim b. | agrees | not run | not run |",
    ]
    frame = pd.read_csv(output.with_suffix(".csv"))
    assert frame.groupby("study", sort=False)["verdict"].agg(list).to_dict() == {
        "one": ["agrees", "agrees"],
        "other": ["differs", "not run"],
        "imagenet256": ["not run", "not run"],
    }
    assert frame.loc[0, ["value", "low", "high", "seeds"]].tolist() == [-2.5, -4.0, -1.0, 3.0]


def test_what_is_no_study_is_told(two: list[Path], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"has no claims\.json; give a finished study's results or evidence folder"):
        main(["where", str(tmp_path)])
    with pytest.raises(SystemExit, match="two studies are called 'one'"):
        main(["where", str(two[0]), "--not-run", "one"])
