"""Tokenizers of all kinds side by side: what each row says of itself, and what it refuses.

Run: pytest tests/reporting/test_token_kinds.py
"""

from __future__ import annotations

import pytest
from reporting.conftest import PAPER

from titok.config.hard_and_soft import TokenKinds
from titok.config.reporting import Tables
from titok.config.rows import Row
from titok.errors import ScoreError
from titok.reporting.collect import MissingScore, read_scores
from titok.reporting.paper import read_paper
from titok.reporting.tables import build_table

ROWS = (
    Row(label="L-2", tokenizer="l2"),
    Row(label="VQGAN", tokenizer="vqgan"),
    Row(label="VAE", tokenizer="vae", stage="single_stage"),
    Row(label="DINO", tokenizer="dino", stage="single_stage"),
    Row(label="patches", tokenizer="means", stage="floor"),
    Row(label="others'", tokenizer="theirs", stage="external"),
)


def filled(tree, speed_protocol=None):
    vae = {"tokenizer": "vae", "stage": "single_stage", "recipe": "single_stage", "num_latent_tokens": 6}
    dino = {"tokenizer": "dino", "stage": "single_stage", "recipe": "frozen_encoder", "num_latent_tokens": 4}
    means = {"tokenizer": "means", "stage": "floor", "recipe": "patches", "num_latent_tokens": 16, "codebook_size": 8}
    theirs = {"tokenizer": "theirs", "stage": "external", "recipe": "external", "num_latent_tokens": 2}
    for subject in (vae | {"codebook_size": None}, dino | {"licence": "MIT"}, means, theirs | {"licence": "GPL"}):
        where = f"reconstruction/{subject['tokenizer']}/{subject['stage']}"
        metrics = {"rfid": 3.0, "psnr": 20.0} | ({"bits_per_image": 77.0} if subject["tokenizer"] == "theirs" else {})
        for seed in (0, 1) if subject["tokenizer"] == "vae" else (0,):
            seeded = {name: value + seed if name == "rfid" else value for name, value in metrics.items()}
            tree.score(f"{where}/seed{seed}", "reconstruction", {**subject, "seed": seed}, seeded)
    for name, stage, width in (
        ("l2", "stage2", None),
        ("vqgan", "vqgan", None),
        ("vae", "single_stage", 4),
        ("dino", "single_stage", 32),
    ):
        subject = {"tokenizer": name, "stage": stage, "seed": 0} | ({"latent_width": width} if width else {})
        metrics = {"parameters": 1e6, "encode_gflop": 0.5, "encode_images_per_second": 100.0}
        protocol = {"throughput": {"batch_size": 4}} if name != "vae" or not speed_protocol else speed_protocol
        tree.score(
            "costs/vqgan" if name == "vqgan" else f"costs/{name}/{stage}/seed0", "costs", subject, metrics, protocol
        )


def table(tree, rows=ROWS, **settings):
    tables = Tables(token_kinds=TokenKinds(rows=rows, **settings))
    return build_table("token_kinds", tables, read_scores(tree.scores), read_paper(PAPER))


def test_what_rows_say_of_themselves(tree):
    filled(tree)
    found = table(tree)
    stored, quality, costs = found.blocks
    assert [[cell.text for cell in row] for row in stored.rows] == [
        ["L-2", "hard", "2", "64", "", "12", "own", "trained here"],
        ["VQGAN", "hard", "16", "64", "", "96", "own", "trained here"],
        ["VAE", "soft", "6", "", "4", "384", "own", "trained here"],  # 6 x 4 numbers of 16 bits
        ["DINO", "soft", "4", "", "32", "2 048", "trained on frozen tokens", "MIT"],
        ["patches", "floor", "16", "8", "", "48", "none", "trained here"],
        ["others'", "soft", "2", "", "", "77", "its own", "GPL"],
    ]
    assert [row[0].text for row in quality.rows] == [row.label for row in ROWS]
    assert quality.rows[2][1].text == "3.50 ± 0.71", "the mean of 3 and 4"
    assert [row[0].text for row in costs.rows] == ["L-2", "VQGAN", "VAE", "DINO"], "others have no model here"
    assert "0.500" in [cell.text for cell in costs.rows[0]]
    data = found.data.set_index("label")
    assert (data.loc["VAE", "rfid_n"], data.loc["VAE", "rfid_max"], data.loc["VAE", "bits"]) == (2, 4, 384)


def test_probes_of_either_reading(tree):
    filled(tree)
    for name in ("vae", "l2"):
        found = {"linear_probe_top1": 0.5, "linear_probe_top1_bottleneck_mean": 0.5}
        if name == "vae":
            found["linear_probe_top1_width_mean"] = 0.75
        (tree.root / f"scores/probe/{name}/seed0.json").unlink(missing_ok=True)
        subject = {"tokenizer": name, "stage": "encoder", "seed": 0}
        tree.score(f"probe/{name}/seed0", "linear_probe", subject, found, {"features": "mean"})
    for other in tree.scores:
        if other.match("probe/l2/*.json") and other.stem != "seed0":
            other.unlink()
    _, quality, _ = table(tree, rows=(ROWS[0], ROWS[2]), linear_probe=True).blocks
    assert [row[-1].text for row in quality.rows] == ["", "75.0"]
    assert [row[-2].text for row in quality.rows] == ["50.0", "50.0"]


def test_speeds_of_two_machines_share_no_column(tree):
    filled(tree, speed_protocol={"throughput": {"batch_size": 8}})
    with pytest.raises(ScoreError, match=r"throughput\.batch_size: 4 and 8"):
        table(tree)
    assert len(table(tree, costs=False).blocks) == 2


def test_missing_costs_are_named(tree):
    filled(tree)
    (tree.root / "scores/costs/dino/single_stage/seed0.json").unlink()
    with pytest.raises(MissingScore, match=r"scores/costs/dino/single_stage/seed\*\.json"):
        table(tree)


def test_the_scores_it_asks_for():
    wanted = TokenKinds(rows=(ROWS[0], ROWS[1], ROWS[4]), linear_probe=True)
    assert wanted.scores == (
        "reconstruction/l2/stage2",
        "reconstruction/vqgan",
        "reconstruction/means/floor",
        "probe/l2",
        "probe/vqgan",
        "costs/l2/stage2",
        "costs/vqgan",
    )
    with pytest.raises(ValueError, match="names no tokenizer"):
        TokenKinds(rows=(Row(label="P", paper="table1/titok-l-32"),))
