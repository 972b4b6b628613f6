"""Frozen encoders are rows of a study like any other: planned, trained, scored, shown.

Run: pytest tests/workflow/test_frozen_encoders.py (the long one: half a minute)
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from config.studies import changed, tiny_document
from metrics.encoder_weights import made_up
from PIL import Image
from safetensors.torch import load_file, save_file
from workflow.sandbox import Sandbox

pytestmark = pytest.mark.workflow

CNN = {"model": "test_efficientnet", "kind": "CNN, made up", "image_size": 64, "stride": 32, "width": 256}
CNN |= {"pooling": "mean", "licence": "none", "commercial": False}
ROW = {
    "family": "encoder",
    "decoder": "s",
    "patch_size": 4,
    "tokens": 4,
    "seeds": [0],
    "training": {"steps": 10, "batch_size": 16, "random_flip": False, "log_every": 5, "schedule": {"warmup_steps": 2}},
    "losses": {
        "perceptual": {"kind": "classifier", "classifier": "critic", "weight": 0.01},
        "adversarial": {"weight": 0.0},
    },
}
SHOWN = [
    {"label": "the critic's places", "tokenizer": "critic-4", "stage": "soft_decoder"},
    {"label": "a CNN's places", "tokenizer": "cnn-4", "stage": "soft_decoder"},
]


def document() -> dict[str, Any]:
    found = changed(tiny_document(), "tokenizers.critic-4", {**ROW, "own_encoder": "critic"})
    cnn = {**ROW, "encoder": CNN, "weights": {"path": "cnn.safetensors"}, "latent_noise": 0.1}
    found = changed(found, "tokenizers.cnn-4", cnn)
    found = changed(found, "reporting.figures.reconstructions.rows", SHOWN)
    return changed(found, "reporting.tables.table3c.rows", SHOWN)


def with_weights(sandbox: Sandbox) -> Sandbox:
    file = made_up(sandbox.folder / "cnn.safetensors", CNN["model"])
    save_file({key: value for key, value in load_file(file).items() if not key.startswith("classifier")}, file)
    sandbox.write_study(document())
    return sandbox


def test_a_row_asks_for_its_decoder_and_that_for_its_encoder(empty: Sandbox) -> None:
    plan = with_weights(empty).plan("results/tiny/tables/table3c.md")
    assert plan.rules["train_soft_decoder"] == 2
    assert plan.rules["score_reconstruction"] == 2
    assert plan.rules["train_classifier"] == 2, "the judge of the scores, and the encoder that is the critic, too"
    assert not {"train_vqgan", "train_stage1"} & set(plan.rules)
    whole = empty.plan()
    assert "results/tiny/scores/reconstruction/cnn-4/soft_decoder/seed0.json" in whole.jobs("score_reconstruction")


def titok(sandbox: Sandbox, *words: object) -> str:
    line = [sys.executable, "-m", "titok", *map(str, words)]
    done = subprocess.run(line, cwd=sandbox.folder, env=sandbox.environment(torch=True), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_decoders_are_trained_scored_and_shown(empty: Sandbox) -> None:
    sandbox = with_weights(empty)
    assert "| train_soft_decoder " in titok(sandbox, "plan", "table3c", "--config", "tiny.yaml")
    done = sandbox.snakemake("--cores", 1, "table3c", "results/tiny/figures/reconstructions.csv", torch=True)
    assert done.status == 0, done.said[-5000:]
    log = (sandbox.folder / "logs/tiny/train_soft_decoder/cnn-4-seed0.log").read_text()
    assert "weights of test_efficientnet: none (not for business)" in log
    table = (sandbox.results / "tables/table3c.csv").read_text().splitlines()
    assert any(line.startswith("a CNN's places,cnn-4,") for line in table)
    record = json.loads((sandbox.results / "scores/reconstruction/cnn-4/soft_decoder/seed0.json").read_text())
    told = record["subject"]
    assert (told["encoder"], told["licence"], told["commercial"]) == ("test_efficientnet", "none", False)
    assert told["num_latent_tokens"] == 4
    assert "codebook_usage" not in record["metrics"]
    model = sandbox.results / "tokenizers/cnn-4/seed0/soft_decoder"
    (sandbox.folder / "cnn.safetensors").unlink()
    Image.new("RGB", (20, 20), "red").save(sandbox.folder / "red.png")
    titok(sandbox, "reconstruct", "red.png", "--model", model, "--output", "back.png")
    with Image.open(sandbox.folder / "back.png") as back:
        assert back.size == (16, 16)
