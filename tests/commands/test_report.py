"""`titok table | figure | checks | report | verdict` on the workbench's scores.

Run: pytest tests/commands/test_report.py
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from commands.workbench import Workbench, record
from config.studies import ROOT

from titok.cli import main


@pytest.fixture(scope="module")
def page(bench: Workbench) -> Path:
    """Folder with everything that reporting makes."""
    folder, scores = bench.root / "page", [bench.root / "scores" / f"{name}.json" for name in ("two", "vqgan")]
    generation = bench.root / "scores" / "generation.json"
    shared = {"study": bench.study_file, "scores": [*scores, generation]}
    paper = {"paper": ROOT / "config" / "paper.csv"}
    # Curves and examples are found by their place in the results of a study.
    log, examples = folder / "generators/g/seed0/metrics.jsonl", folder / "examples/two/stage2/seed0.npz"
    for source, place in (
        (bench.model("g").with_name("metrics.jsonl"), log),
        (bench.model("g").with_name("manifest.json"), log.with_name("manifest.json")),
        (bench.root / "examples/two.npz", examples),
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
    bench.run("table", "table1", output=folder / "table1.csv", **shared, **paper)
    for name, options in (
        ("training_curves", {"logs": [log]}),
        ("reconstructions", {"images": [examples]}),
        ("samples", {"images": [bench.root / "samples.npz"]}),
    ):
        bench.run("figure", name, study=bench.study_file, output=folder / f"{name}.svg", **options)
    bench.run("checks", output=folder / "checks.json", **shared)
    bench.run(
        "report",
        output=folder / "report.html",
        tables=[folder / "table1.csv"],
        figures=sorted(folder.glob("*.svg")),
        manifests=[bench.model("g").with_name("manifest.json")],
        checks=folder / "checks.json",
        **shared,
        **paper,
    )
    return folder


def test_a_table_in_three_formats(bench: Workbench, page: Path) -> None:
    table = pd.read_csv(page / "table1.csv")
    assert len(table) == 2
    assert (page / "table1.md").read_text().count("\n| ") >= 2
    assert "tabular" in (page / "table1.tex").read_text()
    rfid = record(bench.root / "scores" / "two.json")["metrics"]["rfid"]["value"]
    numbers = table.select_dtypes("number").to_numpy().ravel()
    assert any(abs(number - rfid) < 0.01 * rfid for number in numbers)


@pytest.mark.parametrize("name", ["training_curves", "reconstructions", "samples"])
def test_a_figure_in_three_formats(page: Path, name: str) -> None:
    assert "<svg" in (page / f"{name}.svg").read_text()
    assert (page / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert not pd.read_csv(page / f"{name}.csv").empty


def test_the_page_is_one_file(page: Path) -> None:
    html = (page / "report.html").read_text()
    assert "A minute of everything" in html
    assert 'src="http' not in html
    assert "<link" not in html


def test_a_missing_score_is_named(bench: Workbench, tmp_path: Path) -> None:
    message = bench.refusal(
        "table",
        "table1",
        study=bench.study_file,
        scores=[bench.root / "scores" / "vqgan.json"],
        paper=ROOT / "config" / "paper.csv",
        output=tmp_path / "table1.csv",
    )
    assert "two" in message
    assert list(tmp_path.iterdir()) == []


def test_the_verdict_passes_or_names_what_failed(
    page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads((page / "checks.json").read_text())
    passing, failing = tmp_path / "passing.json", tmp_path / "failing.json"
    passing.write_text(json.dumps([{**check, "passed": True} for check in found]))
    main(["verdict", str(passing)])
    assert f"all {len(found)} checks passed" in capsys.readouterr().out
    failing.write_text(json.dumps([{**check, "passed": check["name"] != "scores_finite"} for check in found]))
    with pytest.raises(SystemExit, match="scores_finite"):
        main(["verdict", str(failing)])
