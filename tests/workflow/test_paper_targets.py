"""`snakemake table3b`: every table and figure by name, planned without data, at the cost of what it shows.

Run: pytest tests/workflow/test_paper_targets.py
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path

import pytest
from config.studies import ROOT
from workflow.sandbox import Plan, Sandbox

from titok.config.load import load_study
from titok.config.paper_targets import target_files
from titok.config.targets import Targets
from titok.planning.graph import Graph, ask_snakemake

pytestmark = pytest.mark.workflow

TRAININGS = ("train_baseline", "train_single_stage", "train_stage1", "train_stage2", "train_generator")


@pytest.fixture(params=[256, 512])
def paper(request: pytest.FixtureRequest, empty: Sandbox) -> tuple[Sandbox, str]:
    """A laptop with the study file and nothing else: no archives, no weights."""
    name = f"imagenet{request.param}.yaml"
    shutil.copyfile(ROOT / "config" / name, empty.folder / name)
    return empty, name


def planned(sandbox: Sandbox, study: str, target: str) -> Plan:
    done = sandbox.dry_run(target, study=study)
    assert done.status == 0, done.said[-3000:]
    return Plan(done.said)


def test_the_whole_paper_is_planned_without_data_in_seconds(paper: tuple[Sandbox, str]) -> None:
    """The aim is 5 s on a quiet machine; tests share theirs."""
    sandbox, study = paper
    started = time.monotonic()
    done = sandbox.snakemake("--dry-run", "paper", study=study)
    assert time.monotonic() - started < 20
    assert done.status == 0, done.said[-3000:]
    plan = Plan(done.said)
    expected = {"imagenet256.yaml": (25, 3, 8, 28), "imagenet512.yaml": (2, 2, 0, 3)}[study]
    rules = ("train_stage1", "train_stage2", "train_single_stage", "train_generator")
    assert tuple(plan.rules[rule] for rule in rules) == expected
    assert plan.rules["adopt_vqgan"] == 1, "the proxy VQGAN is the released one"
    assert plan.rules["train_vqgan"] == 0
    assert not (sandbox.folder / "results").exists()


# Target -> trainings behind it: 2D baselines, single-stage, stage 1, stage 2, generators.
NEEDED = {
    "table1": (0, 0, 3, 3, 4),
    "table3a": (0, 0, 3, 1, 0),
    "table3b": (0, 0, 1, 1, 4),
    "table3c": (1, 2, 1, 1, 0),
    "table4a": (0, 0, 21, 0, 0),
    "table4b": (0, 0, 21, 0, 0),
    "table4c": (0, 0, 21, 0, 21),
    "table4d": (0, 0, 21, 0, 21),
    "table5": (0, 0, 1, 1, 1),
    "figure2": (0, 0, 3, 3, 4),
    "figure4": (0, 0, 21, 0, 21),
    "rfid_against_gfid": (0, 0, 21, 0, 21),
    "samples": (0, 0, 1, 1, 1),
    "reconstructions": (0, 0, 3, 3, 0),
    "model_zoo": (0, 6, 0, 0, 0),
}


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """Every job of the paper at 256 pixels."""
    folder = tmp_path_factory.mktemp("paper")
    (folder / "config").symlink_to(ROOT / "config")
    return ask_snakemake(Path("config/imagenet256.yaml"), ["paper"], folder=folder)


@pytest.mark.parametrize("target", NEEDED)
def test_a_target_trains_what_it_shows_and_nothing_else(graph: Graph, target: str) -> None:
    files = target_files(Targets(load_study(ROOT / "config" / "imagenet256.yaml")), target)
    rules = Counter(graph.jobs[number].rule for number in graph.behind(files))
    assert tuple(rules[rule] for rule in TRAININGS) == NEEDED[target]
    assert rules["score_probe"] == (21 if target in ("table4b", "figure4") else 0)
    assert (rules["make_table"], rules["make_figure"]) == ((0, 1) if target in FIGURES else (1, 0))


FIGURES = {"figure2", "figure4", "rfid_against_gfid", "samples", "reconstructions"}


def test_snakemake_plans_the_same_by_name(empty: Sandbox) -> None:
    shutil.copyfile(ROOT / "config" / "imagenet256.yaml", empty.folder / "imagenet256.yaml")
    rules = planned(empty, "imagenet256.yaml", "table3b").rules
    assert tuple(rules[rule] for rule in TRAININGS) == NEEDED["table3b"]


def test_table2_is_in_the_other_study(empty: Sandbox) -> None:
    for name in ("imagenet256.yaml", "imagenet512.yaml"):
        shutil.copyfile(ROOT / "config" / name, empty.folder / name)
    refused = empty.dry_run("table2", study="imagenet256.yaml")
    assert refused.status == 1
    assert "the study 'imagenet256' has no table2: it is the paper's table at 512 pixels" in refused.said
    rules = planned(empty, "imagenet512.yaml", "table2").rules
    assert tuple(rules[rule] for rule in TRAININGS) == (0, 0, 2, 2, 3)


def test_the_small_studies_have_every_target_of_the_paper(empty: Sandbox) -> None:
    shutil.copyfile(ROOT / "config" / "digits.yaml", empty.folder / "digits.yaml")
    wanted = [*NEEDED.keys() - {"model_zoo", "rfid_against_gfid"}, "table2"]
    done = empty.dry_run(*wanted, study="digits.yaml")
    assert done.status == 0, done.said[-3000:]
    outputs = Counter(Path(path).stem for path in Plan(done.said).outputs if path.endswith((".tex", ".png")))
    assert set(outputs) == set(wanted)
