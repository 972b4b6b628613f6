"""What is kept of a finished study: it compares as the results do, knows its files, and is no litter.

Run: pytest tests/reporting/test_evidence_folder.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
from reporting.conftest import Tree

from titok.cli import main
from titok.reporting import evidence_folder
from titok.reporting.evidence_folder import measured_hours, write_evidence
from titok.reporting.numbers import read_folder
from titok.reporting.numbers_file import read_numbers
from titok.runtime.files import read_json, sha256_file, write_json, write_text


@pytest.fixture
def finished(tree: Tree) -> Path:
    """The made-up study with pages, a table in three forms and a figure in three."""
    for name in ("report.html", "claims.json", "claims.md", "checks.json"):
        write_text(tree.root / name, f"<{name}>")
    for name in ("tables/table1.md", "tables/table1.csv", "tables/table1.tex", "figures/a.svg", "figures/a.png"):
        write_text(tree.root / name, name)
    return tree.root


def test_it_has_the_numbers_of_the_results_and_the_sums_of_its_files(finished: Path, tmp_path: Path) -> None:
    output, lock = tmp_path / "evidence", tmp_path / "lock"
    lock.write_text("torch==1")
    manifest = write_evidence(finished, output, lock)
    kept = {"report.html", "claims.json", "claims.md", "checks.json", "tables/table1.md", "tables/table1.csv"}
    assert manifest["files"].keys() == kept | {"figures/a.svg", "numbers.csv"}
    assert read_json(output / "evidence.json") == manifest
    assert all(sha256_file(output / name) == found for name, found in manifest["files"].items())
    assert read_numbers(output / "numbers.csv").numbers == read_folder(finished).numbers
    assert manifest["numbers"] == len(read_folder(finished).numbers) > 0
    assert manifest["lock_sha256"] == sha256_file(lock)


def test_results_compare_with_it_and_a_changed_number_is_seen(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "evidence"
    main(["evidence", str(finished), "--output", str(output)])
    main(["compare", str(finished), str(output), "--strict"])
    assert "bit for bit" in capsys.readouterr().out
    score = sorted((finished / "scores").rglob("*.json"))[0]
    record = read_json(score)
    name = next(iter(record["metrics"]))
    record["metrics"][name]["value"] *= 1.5
    write_json(score, record)
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(finished), str(output), "--strict"])
    assert ended.value.code == 1


def test_again_it_replaces_its_own_and_leaves_no_figure_that_is_gone(finished: Path, tmp_path: Path) -> None:
    output = tmp_path / "evidence"
    main(["evidence", str(finished), "--output", str(output)])
    write_text(output / "notes.md", "by hand")
    (finished / "figures" / "a.svg").rename(finished / "figures" / "b.svg")
    manifest = read_json(output / "evidence.json")
    write_json(output / "evidence.json", manifest | {"study": finished.resolve().name})
    main(["evidence", str(finished), "--output", str(output)])
    assert sorted(path.name for path in (output / "figures").iterdir()) == ["b.svg"]
    assert (output / "notes.md").exists()
    write_json(output / "evidence.json", manifest | {"study": "another"})
    with pytest.raises(SystemExit, match=r"evidence\.json"):
        main(["evidence", str(finished), "--output", str(output)])


def test_unfinished_and_large_studies_are_told(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_folder, "MOST_BYTES", 10)
    with pytest.raises(SystemExit, match=r"MB, allowed are 0; the largest file"):
        main(["evidence", str(finished), "--output", str(tmp_path / "e")])
    (finished / "report.html").unlink()
    with pytest.raises(SystemExit, match=r"has no report\.html; finish the study first"):
        main(["evidence", str(finished), "--output", str(tmp_path / "e")])
    assert not (tmp_path / "e" / "evidence.json").exists()


def test_hours_are_those_of_trainings_by_task_each_counted_once(tmp_path: Path) -> None:
    for place, seconds in (("tokenizers/a/seed0/stage1", 3600), ("tokenizers/a/seed1/stage1", 1800)):
        write_json(tmp_path / place / "manifest.json", {"task": "stage1", "wall_seconds": seconds})
        write_json(tmp_path / "training" / place / "manifest.json", {"task": "stage1", "wall_seconds": seconds})
    write_json(tmp_path / "data" / "train.manifest.json", {"images": 3})
    assert measured_hours(tmp_path) == {"stage1": 1.5}
