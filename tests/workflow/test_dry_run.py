"""Planning: quick, without torch, every table and figure a target of its own, mistakes told before any job.

Run: pytest tests/workflow/test_dry_run.py
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import net
import pytest
from config.studies import ROOT, SHIPPED, TINY, changed, tiny_document
from workflow.sandbox import Sandbox

from titok.config.load import load_study
from titok.config.targets import Targets

pytestmark = pytest.mark.workflow


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_study_is_planned_quickly_and_without_torch_as_before(empty: Sandbox, path: Path) -> None:
    """The aim is 5 s on a quiet machine; tests share theirs. What was planned before is in the net."""
    shutil.copyfile(path, empty.folder / path.name)
    started = time.monotonic()
    done = empty.snakemake(*net.PLANNING, study=path.name)
    assert time.monotonic() - started < 10
    assert done.status == 0, done.said
    name = str(path.relative_to(ROOT))
    assert net.graph_digests(net.read_graph(done.said)) == net.golden()[name]["graph"], net.HOW


def test_every_stage_of_the_paper_is_planned(empty: Sandbox) -> None:
    plan = empty.plan()
    assert plan.rules.keys() >= {
        "prepare_data",
        "train_classifier",
        "train_vqgan",
        "train_stage1",
        "train_stage2",
        "train_single_stage",
        "extract_tokens",
        "train_generator",
        "sample_generator",
        "score_reconstruction",
        "score_vqgan",
        "score_probe",
        "score_generation",
        "make_table",
        "make_figure",
        "judge_checks",
        "write_report",
        "verify_checks",
    }
    assert plan.rules["train_stage1"] == 4
    assert set(empty.targets.everything()) <= plan.outputs
    assert not empty.results.exists(), "a dry run writes nothing"


@pytest.mark.parametrize("name", ["tokenizers", "generators", "scores"])
def test_parts_can_be_asked_for_by_name(empty: Sandbox, name: str) -> None:
    plan = empty.plan(name)
    assert ("train_generator" in plan.rules) == (name != "tokenizers")
    assert ("score_reconstruction" in plan.rules) == (name == "scores")
    assert "make_table" not in plan.rules


def test_every_product_is_a_target_of_its_own(empty: Sandbox) -> None:
    targets = Targets(load_study(empty.study_file))
    assert set(targets.products()) <= empty.plan(*targets.products()).outputs


@pytest.mark.parametrize(
    ("target", "rules"),
    [
        (
            "tables/table3b.md",
            {"make_table": 1, "train_stage1": 1, "train_stage2": 1, "train_generator": 1, "score_generation": 1},
        ),
        ("tables/table4.tex", {"make_table": 1, "train_stage1": 3, "score_probe": 3, "train_generator": 1}),
        ("figures/reconstructions.png", {"make_figure": 1, "score_reconstruction": 2, "train_generator": 0}),
        ("figures/training_curves.svg", {"make_figure": 1, "score_reconstruction": 0, "train_generator": 1}),
    ],
)
def test_a_target_brings_only_what_it_shows(empty: Sandbox, target: str, rules: dict[str, int]) -> None:
    plan = empty.plan(f"results/tiny/{target}")
    assert {rule: plan.rules[rule] for rule in rules} == rules


def test_mistakes_are_told_before_any_job(empty: Sandbox) -> None:
    empty.write_study(changed(tiny_document(), "generators.s2-uvit.tokenizer", "s22"))
    done = empty.fork("--cores", 1)
    assert done.status == 1
    assert "generators.s2-uvit.tokenizer is 's22'" in done.said
    assert "did you mean 's2'?" in done.said
    assert "Traceback" not in done.said
    assert not empty.results.exists()


def test_too_few_images_are_told_before_any_job(empty: Sandbox) -> None:
    empty.write_study(changed(tiny_document(), "dataset.test_images", 64))
    done = empty.dry_run()
    assert done.status == 1
    assert "tiny.yaml: its scores would be refused: 64 test images cannot fill a covariance of 64 features" in done.said
    assert "Building DAG of jobs" not in done.said


def test_a_missing_study_is_told_by_name(empty: Sandbox) -> None:
    done = empty.dry_run(study="nowhere.yaml")
    assert done.status == 1
    assert "nowhere.yaml: no such file" in done.said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--configfile", "tiny.yaml", "over.yaml"), "2 study files were named: "),
        (("--configfile", "other.yaml"), "2 study files were named: "),
        (
            ("--config", "seeds=[5]", "nonsense=1"),
            "--config knows `study` only, found nonsense, seeds; change the study",
        ),
    ],
)
def test_settings_from_outside_the_study_are_refused(empty: Sandbox, words: tuple[str, ...], message: str) -> None:
    for name in ("over.yaml", "other.yaml"):
        (empty.folder / name).write_text("seeds: [5]\n")
    done = empty.dry_run(*words)
    assert done.status == 1
    assert message in done.said
    assert "Traceback" not in done.said


def test_another_folder_finds_what_the_project_ships(tmp_path: Path) -> None:
    """No config/ lies here: the published numbers are those beside the Snakefile, the study is named by its path."""
    elsewhere = Sandbox(tmp_path / "my runs")
    elsewhere.folder.mkdir()
    plan = elsewhere.dry_run(study=str(TINY))
    assert plan.status == 0, plan.said
    assert f"{ROOT}/config/paper.csv" in plan.said
    default = elsewhere.start("--dry-run", "--quiet", "rules", study=None)
    said, _ = default.communicate(timeout=100)
    assert default.returncode == 0, said


def test_results_of_another_study_file_are_refused(empty: Sandbox) -> None:
    empty.results.mkdir(parents=True)
    (empty.results / "study.json").write_text(json.dumps({"study_file": "config/mine.yaml"}))
    done = empty.fork("--cores", 1)
    assert done.status == 1
    assert "was written by the study file config/mine.yaml, but this run reads tiny.yaml" in done.said
    assert [path.name for path in empty.results.iterdir()] == ["study.json"]


def test_lint_is_clean(empty: Sandbox) -> None:
    done = empty.fork("--lint")
    assert done.status == 0, done.said
    assert "Congratulations, your workflow is in a good condition!" in done.said
