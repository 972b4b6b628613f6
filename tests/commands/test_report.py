"""`titok table | figure | checks | report | verdict` on the workbench's scores.

Run: pytest tests/commands/test_report.py
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from commands.workbench import Workbench, record
from config.studies import ROOT

from titok.cli import main
from titok.reporting.judgement import Judgement


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
    working, passing, failing = found["working"], tmp_path / "passing.json", tmp_path / "failing.json"
    # The workbench scored three things of its study, and everything else is missed.
    assert [check["name"] for check in working if not check["passed"]] == ["scores_complete"]
    passing.write_text(json.dumps({**found, "working": [{**check, "passed": True} for check in working]}))
    main(["verdict", str(passing)])
    said = capsys.readouterr().out
    assert said.startswith(f"{len(working)} of {len(working)} working checks passed. The study has switched off")
    worse = [{**check, "passed": check["name"] != "scores_finite"} for check in working]
    failing.write_text(json.dumps({**found, "working": worse}))
    with pytest.raises(SystemExit, match="scores_finite"):
        main(["verdict", str(failing)])


def test_trends_are_an_error_only_if_asked_for(page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads((page / "checks.json").read_text())
    passed = [{**check, "passed": True} for check in found["working"]]
    judgement = asdict(Judgement("differs", 0.5, 0.2, 0.8, 5))
    trend = {"name": "rfid_falls_with_k/s", "statement": "It falls.", "judgement": judgement}
    file = tmp_path / "checks.json"
    file.write_text(json.dumps({**found, "working": passed, "trends": [trend]}))
    main(["verdict", str(file)])
    assert "0 of 1 trends hold.\n  - rfid_falls_with_k/s: differs (0.5 [0.2, 0.8], 5 seeds)" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"1 trend\(s\) do not hold:\n  - rfid_falls_with_k/s: differs"):
        main(["verdict", str(file), "--strict"])
    trend["judgement"]["word"] = "agrees"
    file.write_text(json.dumps({**found, "working": passed, "trends": [trend]}))
    main(["verdict", str(file), "--strict"])


def test_checks_of_an_older_format_are_refused(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("[]")
    with pytest.raises(SystemExit, match=r"old\.json holds no checks of format 3; write it again with `titok checks`"):
        main(["verdict", str(tmp_path / "old.json")])
