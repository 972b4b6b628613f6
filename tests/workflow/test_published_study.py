"""config/published.yaml from the archives to its tables, in miniature: the real study file with toy sizes, rule-made
weights (Inception's in its real size), and a miniature of the official archives made from real photographs where
they are at hand.

Run: pytest tests/workflow/test_published_study.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from config.studies import ROOT, changed
from data.miniature import PHOTOGRAPHS, official, photographs, synthetic
from metrics.inception_weights import rule_inception
from workflow.sandbox import Sandbox

import titok
from titok.config.jobs import job
from titok.config.load import apply_defaults, load_study, read_yaml
from titok.models.generator import build_generator
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN

pytestmark = [pytest.mark.workflow, pytest.mark.long]
STUDY = ROOT / "config" / "published.yaml"
SIDE, IMAGES, CLASSES = 64, 8, 4
TOKENIZERS = {"l-32": "two_stage", "bl-64-vq8k": "single_stage", "bl-64-vae": "continuous"}
TOY = {"width": 16, "depth": 1, "num_heads": 2}


def miniature_document(folder: Path) -> dict[str, Any]:
    """The shipped study with one tokenizer of each kind, one generator, and everything small."""
    document = apply_defaults(read_yaml(STUDY), STUDY)
    rows = document["reporting"]["tables"]
    document |= {
        "study": "tiny",
        "sizes": dict.fromkeys(document["sizes"], TOY),
        "tokenizers": {
            name: document["tokenizers"][name] | {"source": str(folder / name), "num_latent_tokens": 4}
            for name in TOKENIZERS
        },
        "generators": {
            "l-32-vit": document["generators"]["l-32-vit"]
            | {"source": str(folder / "generator"), "model": {"kind": "vit", **TOY}, "samplers": ["l-32"]}
        },
        "vqgan": {
            "source": str(folder / "vqgan"),
            "model": {"channels": 8, "channel_multipliers": [1, 1, 1, 1, 1], "num_res_blocks": 1, "norm_groups": 4},
        },
    }
    images = photographs(classes=CLASSES) if PHOTOGRAPHS.exists() else synthetic(classes=CLASSES, val=IMAGES)
    dataset = official(folder / "archives", images) | {"parts": 2, "resize": SIDE, "image_size": SIDE}
    document["dataset"] = dataset
    document["throughput"] = {"batch_size": 1, "warmup_batches": 0, "batches": 2}
    # A protocol's name promises 50,000 samples, so what is smaller has no name.
    document["evaluation"] = {
        "extractor": {"weights": str(folder / "inception.pth"), "dtype": "float32"},
        "reference": {"path": str(folder / "VIRTUAL.npz")},
        "num_samples": 2 * dataset["num_classes"],
        "inception_score_split_size": dataset["num_classes"],
        "precision_recall_references": 8,
        "precision_recall_arithmetic": "float16-blocks",
        "density_coverage": {"neighbours": 3},
        "mind": {"directions": 16},
        "checks": {"allow": ["too_few_for_features", "duplicates", "constant_images"]},
    }
    kept = {
        table: {"rows": [row for row in rows[table]["rows"] if row["tokenizer"] in {*TOKENIZERS, "vqgan"}]}
        for table in ("table1", "model_zoo")
    }
    shown = document["reporting"]["figures"]["reconstructions"]["rows"]
    shown = [row for row in shown if row["tokenizer"] in {*TOKENIZERS, "vqgan"}]
    document["reporting"] = {
        "tables": kept,
        "figures": {"reconstructions": {"num_images": 4, "rows": shown}},
        "checks": {"enabled": False},  # 8 images, by random weights
    }
    return document


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    folder = tmp_path_factory.mktemp("published")
    (folder / "study").mkdir()
    sandbox = Sandbox.new(folder / "study")
    document = miniature_document(folder)
    sandbox.write_study(document)
    study = load_study(sandbox.study_file)
    torch.manual_seed(0)
    for name in TOKENIZERS:
        titok.save(TiTok(job(study, "released_tokenizer", name).model), folder / name, layout="own")  # type: ignore[attr-defined]
    titok.save(build_generator(job(study, "released_generator", "l-32-vit").model), folder / "generator", layout="own")  # type: ignore[attr-defined]
    titok.save(VQGAN(job(study, "released_vqgan", "all").model), folder / "vqgan", layout="own")  # type: ignore[attr-defined]
    rule_inception(folder / "inception.pth")
    draws = np.random.default_rng(0)
    np.savez(
        folder / "VIRTUAL.npz",
        mu=np.full(2048, 0.5, np.float32),
        sigma=np.eye(2048, dtype=np.float32),
        mu_s=np.zeros(2023, np.float32),
        sigma_s=np.eye(2023, dtype=np.float32),
        arr_0=draws.integers(0, 256, (10, SIDE, SIDE, 3), dtype=np.uint8),
    )
    done = sandbox.snakemake("--cores", 2, torch=True)
    assert done.status == 0, done.said[-5000:]
    return sandbox


def test_the_shipped_study_plans_every_model_and_no_training(empty: Sandbox) -> None:
    plan = empty.dry_run("--configfile", "config/published.yaml", study="config/published.yaml")
    assert plan.status == 0, plan.said
    counts = dict(line.split() for line in plan.said.splitlines() if len(line.split()) == 2)
    assert counts["adopt_tokenizer"] == "9"
    assert counts["adopt_generator"] == "3"
    assert counts["sample_generator"] == counts["score_generation"] == "5", "L-32 and S-128 with two samplers each"
    assert counts["score_reconstruction"] == "9"
    assert counts["prepare_part"] == "8", "only the validation images: samples are compared with a reference file"
    assert not [rule for rule in counts if rule.startswith("train")]


def test_every_number_is_there_with_its_protocol(finished: Sandbox) -> None:
    scores = finished.results / "scores"
    for name in TOKENIZERS:
        record = json.loads((scores / f"reconstruction/{name}/released/seed0.json").read_text())
        assert record["metrics"]["rfid"]["label"] == "rFID"
        assert record["protocol"]["reference"]["resize_rule"] == "official"
        assert record["protocol"]["extractor"]["kind"] == "inception"
        assert {"density", "coverage", "mind"} <= record["metrics"].keys()
        assert ("codebook_usage" in record["metrics"]) == (TOKENIZERS[name] != "continuous")
    generation = json.loads((scores / "generation/l-32-vit/l-32/seed0.json").read_text())
    assert {"gfid", "sfid", "inception_score_adm", "precision", "recall"} <= generation["metrics"].keys()
    assert {"density", "coverage", "mind"} <= generation["metrics"].keys()
    assert generation["protocol"]["precision_recall"]["arithmetic"] == "float16-blocks"
    assert generation["protocol"]["reference"]["sha256"]


def test_tables_put_ours_beside_the_published_numbers(finished: Sandbox) -> None:
    table = pd.read_csv(finished.results / "tables" / "table1.csv").set_index("label")
    assert table.loc["TiTok-L-32", "paper_rfid"] == 2.21
    assert table.loc["TiTok-L-32", "paper_gfid"] == 2.77
    assert np.isfinite(table.loc["TiTok-L-32", ["rfid_mean", "gfid_mean"]].astype(float)).all()
    zoo = pd.read_csv(finished.results / "tables" / "model_zoo.csv").set_index("label")
    assert zoo.loc["TiTok-BL-64 vq8k", "paper_rfid"] == 2.06
    assert zoo.loc["TiTok-BL-64 vae", "paper_rfid"] == 1.25
    assert (finished.results / "report.html").exists()
    assert (finished.results / "figures" / "reconstructions.png").exists()


def test_another_sample_count_than_the_protocols_is_refused(finished: Sandbox) -> None:
    document = read_yaml(finished.study_file)
    document["evaluation"] = changed(document["evaluation"], "protocol", "titok-official")
    sandbox = Sandbox(finished.folder)
    before = finished.study_file.read_text()
    try:
        sandbox.write_study(document)
        done = sandbox.dry_run()
    finally:
        finished.study_file.write_text(before)
    assert done.status != 0
    assert "but protocol 'titok-official' fixes it to" in done.said
