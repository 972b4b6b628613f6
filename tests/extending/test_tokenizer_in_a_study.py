"""A tokenizer of another kind, added as docs/extending.md says, goes through the whole workflow.

Run: pytest tests/extending/test_tokenizer_in_a_study.py (half a minute)
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from extending.kitchen import copy_with, run, titok
from extending.lengths_recipe import LENGTHS_IN_A_STUDY
from extending.recipes import ROOT
from extending.toy_tokenizer_recipe import TOKENIZER
from safetensors.numpy import load_file


@pytest.mark.workflow
@pytest.mark.long
def test_a_tokenizer(tmp_path: Path) -> None:
    """Trained by a study, scored, and under a generator, up to a row of Table 1."""
    folder = copy_with(TOKENIZER, tmp_path)
    document = yaml.safe_load((ROOT / "tests" / "workflow" / "tiny.yaml").read_text())
    training = document["defaults"].pop("tokenizer")["stage1"]["training"]
    for name in ("vqgan", "baselines", "throughput"):
        document.pop(name, None)
    sizes = {"encoder": "s", "decoder": "s", "num_latent_tokens": 16, "codebook_size": 16, "patch_size": 4}
    document["tokenizers"] = {"toy": {"recipe": "toy", **sizes, "toy": {"training": training}, "seeds": [0]}}
    document["generators"] = {"on-toy": {"tokenizer": "toy"}}
    row = {"label": "Toy", "tokenizer": "toy", "stage": "toy", "generator": "on-toy", "sampler": "two-steps"}
    document["reporting"] = {"tables": {"table1": {"rows": [row]}}}
    (folder / "study.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    assert "| train_toy " in titok(folder, ["plan", "table1", "--config", "study.yaml"])
    # On a GPU whose peak is known, training counts its operations.
    count = "from titok.config.toy_jobs import ToyJob; from titok.config.load import load_job;"
    count += "from titok.training.flops import step_of_job; print(step_of_job(load_job('toy.yaml', ToyJob)).model)"
    titok(folder, ["check", "study.yaml"], ["resolve", "study.yaml", "toy", "toy", "--output", "toy.yaml"])
    assert run(folder, "-c", count) == "768\n"
    run(folder, "-m", "snakemake", "--cores", "2", "table1", "--configfile", "study.yaml")
    [line] = [line for line in (folder / "results/tiny/tables/table1.csv").read_text().splitlines() if "Toy" in line]
    manifest = json.loads((folder / "results/tiny/tokenizers/toy/seed0/toy/manifest.json").read_text())
    assert (manifest["task"], manifest["steps"], manifest["parameters"]) == ("toy", 30, 3)
    trained = load_file(folder / "results/tiny/tokenizers/toy/seed0/toy/model.safetensors")
    assert np.abs(trained["tint"]).min() > 0, "it begins at 0"
    assert line.startswith("Toy,toy,on-toy,two-steps,toy,")


@pytest.mark.workflow
@pytest.mark.long
def test_a_tokenizer_of_several_lengths(tmp_path: Path) -> None:
    """Trained, scored at every length and where each image has its own, and generated at such lengths."""
    folder = copy_with(LENGTHS_IN_A_STUDY, tmp_path)
    document = yaml.safe_load((ROOT / "tests" / "workflow" / "tiny.yaml").read_text())
    training = document["defaults"].pop("tokenizer")["stage1"]["training"]
    for name in ("vqgan", "baselines", "throughput"):
        document.pop(name, None)
    sizes = {"encoder": "s", "decoder": "s", "num_latent_tokens": 21, "codebook_size": 16, "patch_size": 4}
    document["tokenizers"] = {"toy": {"recipe": "toy", **sizes, "toy": {"training": training}, "seeds": [0]}}
    document["generators"] = {"on-toy": {"tokenizer": "toy"}}
    document["adaptive_length"] = {"thresholds": [0.1, 0.2], "tokens": 0.2}
    row = {"label": "Toy", "tokenizer": "toy", "stage": "toy"}
    made = row | {"generator": "on-toy", "sampler": "two-steps"}
    document["reporting"] = {"tables": {"table1": {"rows": [made]}, "adaptive_length": {"rows": [row]}}}
    (folder / "study.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    titok(folder, ["check", "study.yaml"])
    run(folder, "-m", "snakemake", "--cores", "2", "table1", "adaptive_length", "--configfile", "study.yaml")
    record = json.loads((folder / "results/tiny/scores/lengths/toy/toy/seed0.json").read_text())
    found = {name: entry["value"] for name, entry in record["metrics"].items()}
    errors = [found[f"l1@{length}"] for length in (1, 5, 21)]
    assert errors == sorted(errors, reverse=True), "finer levels are nearer"
    assert 1 <= found["mean_length@l1<0.2"] <= found["mean_length@l1<0.1"] <= 21
    table = (folder / "results/tiny/tables/adaptive_length.csv").read_text().splitlines()
    assert any(line.startswith("Toy,toy,toy,l1<0.2,") for line in table)
    with np.load(folder / "results/tiny/tokens/toy/seed0/toy.npz") as tokens:
        assert set(tokens["lengths"].flatten().tolist()) <= {1, 5, 21}
    assert "Toy,toy,on-toy,two-steps" in (folder / "results/tiny/tables/table1.csv").read_text()
