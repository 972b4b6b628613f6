"""Claims of several studies side by side, from small evidence folders.

Run: pytest tests/reporting/test_where.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from titok.cli import main
from titok.reporting.claims import write_claims
from titok.reporting.finding import Finding


def finding(name: str, scope: str = "any", **values: Any) -> Finding:
    facts = {"text": f"Claim {name}.", "where": "section 4", "needs": "training", "expression": name}
    return Finding(id=name, scope=scope, **({"verdict": "agrees"} | facts | values))


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """Two studies; of the ledger's five claims about any study, neither has everything."""
    folders = [tmp_path / "one", tmp_path / "other"]
    found = [
        [
            finding("a", value=-2.5, low=-4.0, high=-1.0, seeds=3),
            finding("b"),
            finding("d", verdict="not run", because="gone.json: no such score", is_planned=True),
            finding("n", scope="imagenet256"),
        ],
        [
            finding("a", verdict="differs", value=1.0, low=0.5, high=1.5, seeds=5),
            finding("b", verdict="not run", because="no row stands beside it"),
            finding("c", verdict="undecided", value=0.2, seeds=1, because="1 seed; at least 3 are needed"),
        ],
    ]
    for folder, findings in zip(folders, found, strict=True):
        folder.mkdir()
        write_claims(findings, folder / "claims.json")
    return folders


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Five claims about any study, in an order of its own, and one about ImageNet."""
    facts = {"where": "section 4", "needs": "training", "holds": "1 < 2"}
    claims = [{"id": name, "text": f"Claim {name}.", "scope": "any", **facts} for name in "abcde"]
    absolute = {"id": "n", "text": "Claim n.", "scope": "imagenet256", **facts}
    path = tmp_path / "ledger.yaml"
    path.write_text(yaml.safe_dump({"claims": [absolute, *claims]}))
    return path


def test_each_study_is_a_column_and_no_claim_is_missing(two: list[Path], ledger: Path, tmp_path: Path) -> None:
    output = tmp_path / "where.md"
    main(["where", *map(str, two), "--not-run", "imagenet256", "--claims", str(ledger), "--output", str(output)])
    assert output.read_text().splitlines() == [
        "| claim | in the paper | one | other | imagenet256 |",
        "| --- | --- | --- | --- | --- |",
        "| Claim a. | section 4 | agrees -2.5 [-4, -1], 3 seeds | differs 1 [0.5, 1.5], 5 seeds | not run |",
        "| Claim b. | section 4 | agrees | not asked | not run |",
        "| Claim c. | section 4 | not asked | undecided 0.2, 1 seed | not run |",
        "| Claim d. | section 4 | not run | not asked | not run |",
        "| Claim e. | section 4 | not asked | not asked | not run |",
        "",
        "What is missing, or would decide:",
        "",
        "- one, *Claim c; Claim e*: judged before the ledger had this claim; judge again with `titok claims`",
        "- one, *Claim d*: gone.json: no such score",
        "- other, *Claim c*: 1 seed; at least 3 are needed",
        "- other, *Claim d; Claim e*: judged before the ledger had this claim; judge again with `titok claims`",
    ]
    frame = pd.read_csv(output.with_suffix(".csv"), keep_default_na=False)
    assert frame.groupby("study", sort=False)["verdict"].agg(list).to_dict() == {
        "one": ["agrees", "agrees", "not asked", "not run", "not asked"],
        "other": ["differs", "not asked", "undecided", "not asked", "not asked"],
        "imagenet256": ["not run"] * 5,
    }
    assert frame.loc[0, ["value", "low", "high", "seeds"]].tolist() == ["-2.5", "-4.0", "-1.0", "3.0"]
    assert frame.loc[frame["claim"] == "b", "because"].tolist() == [
        "",
        "no row stands beside it",
        "nobody ran this study",
    ]


def test_evidence_folders_are_read_as_results_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a study of tokens alone, which says nothing of the paper's trends; committed before `not asked` was a word."""
    evidence = Path(__file__).parents[2] / "docs" / "evidence" / "hard_soft"
    main(["where", str(evidence)])
    head, _, *rows = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert head == "| claim | in the paper | hard_soft |"
    assert len(rows) > 10
    assert {row.split(" | ")[-1] for row in rows} == {"not asked |"}


def test_what_is_no_study_is_told(two: list[Path], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"has no claims\.json; give a finished study's results or evidence folder"):
        main(["where", str(tmp_path)])
    with pytest.raises(SystemExit, match="two studies are called 'one'"):
        main(["where", str(two[0]), "--not-run", "one"])
