"""CIFAR-10's study from the archive to the report, shortened, on images made here.

Run: pytest tests/workflow/test_cifar10_study.py (about a minute on two cores)
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from data.tiny_cifar10 import write_cifar10
from workflow.sandbox import Sandbox
from workflow.small_cifar10 import shortened_cifar10

from titok.config.load import load_study
from titok.config.targets import Targets

pytestmark = [pytest.mark.workflow, pytest.mark.long]


def test_from_the_archive_to_the_report(empty: Sandbox, tmp_path: Path) -> None:
    study = empty.folder / "cifar10.yaml"
    dataset = write_cifar10(tmp_path / "cifar-10-binary.tar.gz", per_file=20)
    study.write_text(yaml.safe_dump(shortened_cifar10(dataset)))
    # All but the verdict: whether six updates of stage 2 lower rFID says nothing.
    wanted = [path for path in Targets(load_study(study)).everything() if not path.endswith("verdict.txt")]
    done = empty.snakemake("--cores", 2, *wanted, study=study.name, torch=True)
    assert done.status == 0, done.said[-5000:]
    for path in wanted:
        assert (empty.folder / path).stat().st_size > 0, path
    results = empty.folder / "results" / "cifar10"
    manifest = json.loads((results / "data" / "train.manifest.json").read_text())
    assert (manifest["kind"], manifest["images"]) == ("cifar10", 100)
    (score,) = results.glob("scores/generation/b8-vit/eight-steps/seed0.json")
    assert json.loads(score.read_text())["metrics"]["gfid"]["label"] == "cifar10-gFID"
