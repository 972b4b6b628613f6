"""The profile behind `--profile slurm`, as far as no Slurm is needed; tests/slurm runs it on a real one.

Run: pytest tests/workflow/test_slurm_profile.py
"""

from __future__ import annotations

import re

import pytest
import yaml
from config.studies import ROOT, changed, tiny_document
from workflow.sandbox import Sandbox
from workflow.test_rules import RULES

pytestmark = pytest.mark.workflow
PROFILE = yaml.safe_load((ROOT / "slurm" / "profile.v9+.yaml").read_text())
TEXT = "\n".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
STAGE1 = "results/tiny/tokenizers/s1/seed0/stage1/model.safetensors"


@pytest.fixture
def cluster(empty: Sandbox) -> Sandbox:
    """The sandbox with the profile where Snakemake looks for it."""
    (empty.folder / "slurm").symlink_to(ROOT / "slurm")
    return empty


def test_a_dry_run_needs_no_slurm_and_tells_what_jobs_ask_for(cluster: Sandbox) -> None:
    wanted = {"default": {"gpus": 0}, "stage1": {"gpus": 8, "nodes": 2, "cpus": 64, "memory_gb": 400, "hours": 48}}
    document = changed(tiny_document(), "defaults.tokenizer.stage1.training.batch_size", 64)
    cluster.write_study(changed(document, "resources", wanted))
    done = cluster.dry_run("--cores", "all", "--profile", "slurm", STAGE1)
    assert done.status == 0, done.said
    (block,) = re.findall(r"^rule train_stage1:\n((?:    .*\n)*)", done.said, re.MULTILINE)
    asked = {
        "gpus=8", "nodes=2", "cpus_per_task=64", "mem_mb=400000", "runtime=2880", "gres=gpu:8", "mpi=srun", "tasks=2",
        "tasks_per_gpu=0", "slurm_extra=--signal=USR1@300",
    }  # fmt: skip
    assert asked <= set(re.split(r",? ", block.replace("\n", " ")))
    for rule in ("train_vqgan", "prepare_data"):
        (block,) = re.findall(rf"^rule {rule}:\n((?:    .*\n)*)", done.said, re.MULTILINE)
        assert "gres=" not in block
        assert "mpi=" not in block


def test_rules_that_the_profile_names_exist() -> None:
    named = {entry.partition("=")[0] for entry in PROFILE["groups"]}
    assert named <= set(re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)", TEXT, re.MULTILINE))


def test_a_rules_text_is_no_reason_to_train_again() -> None:
    assert set(PROFILE["rerun-triggers"]) == {"mtime", "params", "input"}


def test_tries_are_counted_by_the_profile_alone() -> None:
    """`retries` in a rule multiply: every one of the plugin's three processes would retry."""
    assert PROFILE["retries"] > 1
    assert not re.search(r"^    retries:", TEXT, re.MULTILINE)


def test_only_small_things_stay_on_the_login_node() -> None:
    local = re.findall(r"^rule (\w+):\n(?:    .*\n|\n)*?    localrule: True\n", TEXT, re.MULTILINE)
    assert set(local) == {"write_config", "verify_checks"}


def test_every_job_that_computes_says_what_it_takes() -> None:
    """Each command that may use a GPU is launched with one of its own, and only those are."""
    for name, body in RULES.items():
        assert ("titok launch {resources.launch}" in body) == ("**takes(" in body), name
