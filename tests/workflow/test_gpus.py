"""Several GPUs on one machine: jobs beside each other have their own, and a training may have several.

The GPUs are names only; the study leaves them idle and works on the CPU, by Gloo where there are several processes.

Run: pytest tests/workflow/test_gpus.py
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from config.studies import changed, tiny_document
from workflow.sandbox import Sandbox

from titok.runtime.gpus import VISIBLE

pytestmark = pytest.mark.workflow
JUDGE, CRITIC = (f"results/tiny/classifiers/{name}/model.safetensors" for name in ("judge", "critic"))


@pytest.fixture
def machine(empty: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """One with two GPUs."""
    monkeypatch.setenv(VISIBLE, "3,5")
    return empty


def train(machine: Sandbox, resources: dict[str, Any], *models: str) -> None:
    machine.write_study(changed(tiny_document(), "resources", resources))
    done = machine.snakemake("--cores", 2, *models, torch=True)
    assert done.status == 0, done.said


def gpus(machine: Sandbox, classifier: str) -> list[str]:
    first, *_ = (machine.folder / f"logs/tiny/train_classifier/{classifier}.log").read_text().splitlines()
    return first.partition("CUDA_VISIBLE_DEVICES=")[2].partition(", which")[0].split(",")


@pytest.mark.long
@pytest.mark.usefixtures("without_server")
def test_jobs_beside_each_other_have_gpus_of_their_own(machine: Sandbox) -> None:
    train(machine, {"default": {"gpus": 1, "device": "cpu"}}, JUDGE, CRITIC)
    assert sorted([*gpus(machine, "judge"), *gpus(machine, "critic")]) == ["3", "5"]


@pytest.mark.long
@pytest.mark.usefixtures("without_server")
def test_a_training_has_one_process_on_each(machine: Sandbox) -> None:
    train(machine, {"default": {"gpus": 0}, "classifier/judge": {"gpus": 2, "device": "cpu"}}, JUDGE)
    assert gpus(machine, "judge") == ["3", "5"]
    assert json.loads((machine.results / "classifiers/judge/manifest.json").read_text())["processes"] == 2


def test_a_machine_with_fewer_gives_what_it_has(machine: Sandbox) -> None:
    """The study was written for nodes of eight GPUs; it runs here with the same batches."""
    machine.write_study(changed(tiny_document(), "resources", {"classifier": {"gpus": 8, "nodes": 2}}))
    done = machine.dry_run("--cores", 2, "--printshellcmds", JUDGE)
    assert "titok launch --gpus 2 --nodes 2 --cpus 1 train classifier" in done.said
    done = machine.dry_run("--cores", 2, "--printshellcmds", JUDGE, "--resources", "gpus=1")
    assert "titok launch --gpus 1 --nodes 2 --cpus 1 train classifier" in done.said


@pytest.mark.long
@pytest.mark.usefixtures("without_server")
def test_resources_rerun_nothing(machine: Sandbox) -> None:
    train(machine, {"default": {"gpus": 0}}, JUDGE)
    machine.write_study(changed(tiny_document(), "resources", {"default": {"gpus": 1, "memory_gb": 3, "cpus": 2}}))
    done = machine.dry_run("--cores", 2, JUDGE)
    assert "Nothing to be done" in done.said
