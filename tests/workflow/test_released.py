"""A study of released models: nothing is trained, every model is checked against the study, and all are scored.

Run: pytest tests/workflow/test_released.py
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from config.studies import ROOT, changed
from workflow.sandbox import Sandbox

import titok
from titok.cli import main
from titok.config.jobs import job
from titok.config.load import load_study, read_yaml
from titok.models.generator import build_generator
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.runtime.files import sha256_file

pytestmark = pytest.mark.workflow
RELEASED = ROOT / "tests" / "workflow" / "released.yaml"


def release(folder: Path) -> None:
    """The models that the study names, below ``folder``, as their authors would have left them."""
    study = load_study(RELEASED)
    torch.manual_seed(0)
    for name, kind, entry in (
        ("two", "released_tokenizer", "two"),
        ("continuous", "released_tokenizer", "continuous"),
        ("generator", "released_generator", "two-vit"),
        ("vqgan", "released_vqgan", "all"),
    ):
        build = {"released_tokenizer": TiTok, "released_generator": build_generator, "released_vqgan": VQGAN}[kind]
        titok.save(build(job(study, kind, entry).model), folder / name, layout="own")  # type: ignore[arg-type, attr-defined]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    (tmp_path / "study").mkdir()
    made = Sandbox.new(tmp_path / "study")
    shutil.copyfile(RELEASED, made.study_file)
    release(made.folder / "released")
    return made


@pytest.mark.long
def test_released_models_are_scored_without_training(sandbox: Sandbox) -> None:
    done = sandbox.snakemake("--cores", 2, torch=True)
    assert done.status == 0, done.said[-5000:]

    records = {
        name: json.loads((sandbox.folder / "results/released" / "scores" / name).read_text())
        for name in (
            "reconstruction/two/released/seed0.json",
            "reconstruction/continuous/released/seed0.json",
            "reconstruction/vqgan.json",
            "generation/two-vit/two-steps/seed0.json",
        )
    }
    assert all(set(record["metrics"]) & {"rfid", "gfid"} for record in records.values())
    assert not any("training_images_per_second" in record["metrics"] for record in records.values())
    results = sandbox.folder / "results/released"
    assert (results / "tables" / "table1.md").read_text().count("\n") > 4

    adopted = json.loads((results / "tokenizers/two/seed0/released/manifest.json").read_text())
    assert adopted["sha256"] == sha256_file(sandbox.folder / "released/two/model.safetensors")
    original, copy = (
        titok.load(sandbox.folder / place) for place in ("released/two", results / "tokenizers/two/seed0/released")
    )
    for name, tensor in original.state_dict().items():
        torch.testing.assert_close(copy.state_dict()[name], tensor, rtol=0, atol=0)


def test_only_the_judge_is_trained(sandbox: Sandbox) -> None:
    plan = sandbox.plan()
    assert {rule for rule in plan.rules if rule.startswith("train")} == {"train_classifier"}
    assert plan.rules["adopt_tokenizer"] == 2
    assert plan.rules["adopt_generator"] == plan.rules["adopt_vqgan"] == 1


def test_another_model_than_the_study_says_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    document = changed(read_yaml(RELEASED), "tokenizers.two.codebook_size", 32)
    document = changed(document, "generators.two-vit.model.depth", 4)
    sandbox.write_study(document)
    for kind, entry, difference in (
        ("tokenizer", "two", "codebook_size: study 32, weights 16"),
        ("generator", "two-vit", "depth: study 4, weights 2"),
    ):
        config = tmp_path / f"{kind}.yaml"
        main(["resolve", str(sandbox.study_file), f"released_{kind}", entry, "--output", str(config)])
        text = config.read_text().replace("released/", f"{sandbox.folder}/released/")
        config.write_text(text)
        with pytest.raises(SystemExit, match=difference):
            main(["adopt", kind, "--config", str(config), "--output", str(tmp_path / kind / "model.safetensors")])
        assert not (tmp_path / kind).exists()


def test_another_kind_of_model_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    config = tmp_path / "job.yaml"
    main(["resolve", str(sandbox.study_file), "released_tokenizer", "two", "--output", str(config)])
    config.write_text(config.read_text().replace("source: released/two", f"source: {sandbox.folder}/released/vqgan"))
    with pytest.raises(SystemExit, match="is a VQGAN; the study wants a tokenizer"):
        main(["adopt", "tokenizer", "--config", str(config), "--output", str(tmp_path / "out" / "model.safetensors")])
