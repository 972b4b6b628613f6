"""Tables and figures by name, and what a study says that has not got one.

Run: pytest tests/config/test_paper_targets.py
"""

from __future__ import annotations

import pytest
from config.studies import changed, study_of, tiny_document, without

from titok.config.paper_targets import TARGET_NAMES, NoSuchTarget, available, target_files
from titok.config.targets import Targets


def tiny() -> Targets:
    return Targets(study_of(tiny_document()))


def test_everything_a_study_makes_has_a_name() -> None:
    targets = tiny()
    named = {path for name in available(targets) if name != "paper" for path in target_files(targets, name)}
    pages = {f"results/tiny/{name}" for name in ("checks.json", "report.html", "verdict.txt")}
    assert {path for path in targets.products() if path.split("/")[2] in ("tables", "figures")} == named
    assert named | pages <= set(target_files(targets, "paper"))
    assert set(available(targets)) <= set(TARGET_NAMES)


def test_a_name_is_all_formats() -> None:
    assert target_files(tiny(), "table4b") == [f"results/tiny/tables/table4b.{end}" for end in ("csv", "md", "tex")]
    assert target_files(tiny(), "samples") == [f"results/tiny/figures/samples.{end}" for end in ("svg", "png", "csv")]


@pytest.mark.parametrize(
    ("document", "name", "words"),
    [
        (without(tiny_document(), "reporting.tables.table2"), "table2", "imagenet512.yaml has"),
        (tiny_document(), "model_zoo", r"it needs reporting\.tables\.model_zoo"),
        (changed(tiny_document(), "reporting.tables.table4.linear_probe", False), "table4b", "linear_probe: true"),
        (changed(tiny_document(), "reporting.tables.table4.generators", None), "table4d", "table4 with generators"),
        (without(tiny_document(), "reporting.tables.table4"), "figure4", r"reporting\.tables\.table4"),
        (without(tiny_document(), "reporting.figures.samples"), "samples", r"reporting\.figures\.samples"),
    ],
)
def test_what_a_study_has_not_is_told_with_the_way_out(document: dict[str, object], name: str, words: str) -> None:
    targets = Targets(study_of(document))
    with pytest.raises(NoSuchTarget, match=words) as caught:
        target_files(targets, name)
    assert "Its own targets: table1" in str(caught.value)
    assert name not in available(targets)


def test_the_core_is_one_seed_of_the_grid_and_the_vqgan() -> None:
    document = tiny_document()
    grid = Targets(study_of(document))
    found = target_files(grid, "core")
    places = list(grid.study.reporting.tables.table4.cells())
    assert found[0] == "results/tiny/scores/reconstruction/vqgan.json"
    assert found[1:] == [
        f"results/tiny/scores/reconstruction/{cell.row.tokenizer}/{cell.row.stage}/"
        f"seed{grid.study.tokenizer_seeds(cell.row.tokenizer)[0]}.json"
        for cell in places
    ]
    assert set(found) < set(grid.all_scores())


def test_a_study_without_a_grid_has_no_core() -> None:
    with pytest.raises(NoSuchTarget, match=r"has no core: it needs reporting\.tables\.table4"):
        target_files(Targets(study_of(without(tiny_document(), "reporting.tables.table4"))), "core")
