"""Hard and soft tokens over bits: the numbers behind the figure, and what it refuses.

Run: pytest tests/reporting/test_hard_and_soft.py
"""

from __future__ import annotations

import pandas as pd
import pytest

from titok.config.figures import Figures
from titok.config.hard_and_soft import HardAndSoft
from titok.config.reporting import Reporting
from titok.config.rows import Row
from titok.errors import ScoreError
from titok.reporting.collect import MissingScore
from titok.reporting.figures.figure import Sources
from titok.reporting.figures.gallery import make_figure

HARD = (Row(label="L-2", tokenizer="l2"), Row(label="VQGAN", tokenizer="vqgan"))
SOFT = (Row(label="VAE", tokenizer="vae", stage="single_stage"),)


def with_curve(tree, bits=(8, 2), seeds=(0, 1), **options):
    """6 tokens of 4 channels."""
    for each in bits:
        stage = f"single_stage-{each}bit"
        for seed in seeds:
            subject = {"tokenizer": "vae", "stage": stage, "seed": seed, "recipe": "quantized"}
            subject |= {"num_latent_tokens": 6, "latent_width": 4, "bits_per_channel": each}
            metrics = {"rfid": 9.0 - each + seed, "psnr": 20.0 + each + seed, "bits_per_image": 24.0 * each}
            tree.score(f"reconstruction/vae/{stage}/seed{seed}", "reconstruction", subject, metrics, **options)


def with_probe(tree):
    for seed in (0, 1):
        subject = {"tokenizer": "vae", "stage": "encoder", "seed": seed}
        tree.score(f"probe/vae/seed{seed}", "linear_probe", subject, {"linear_probe_top1": 0.5 + 0.1 * seed})


def draw(tree, wanted, prefix):
    reporting = Reporting(figures=Figures(hard_and_soft=wanted), figure_dpi=60)
    return make_figure("hard_and_soft", reporting, prefix, Sources(tree.scores))


def test_the_numbers_behind_the_figure(tree, tmp_path):
    with_curve(tree)
    with_probe(tree)
    wanted = HardAndSoft(hard=HARD, soft=SOFT, bits=(2, 8), probed=SOFT)
    svg, png, csv = draw(tree, wanted, tmp_path / "figure")
    data = pd.read_csv(csv)
    assert list(data["label"]) == ["L-2", "VQGAN", "VAE", "VAE", "VAE"]
    assert list(data["kind"]) == ["hard tokens"] * 2 + ["soft tokens"] * 3
    # 2 and 16 tokens of 64 codes; 24 channels of 8 and 2 bits; and of float16, where the probe reads.
    assert list(data["bits_per_image"]) == [12, 96, 192, 48, 384]
    assert list(data["rfid"].dropna())[2:] == [1.5, 7.5]
    assert list(data["rfid_low"].dropna())[2:] == [1.0, 7.0]
    assert list(data["rfid_high"].dropna())[2:] == [2.0, 8.0]
    assert data["linear_probe_top1"].dropna().tolist() == [pytest.approx(0.55)]
    assert data["rfid"].isna().tolist() == [False] * 4 + [True], "float16 tokens are no point of the curve"
    text = svg.read_text()
    assert all(word in text for word in ("hard tokens", "soft tokens", "bits per image", "linear probe", "VAE"))
    assert png.stat().st_size > 1000


def test_codecs_in_grey_and_no_probe(tree, tmp_path):
    with_curve(tree)
    subject = {"tokenizer": "jpeg", "stage": "q10", "seed": 0, "recipe": "codec"}
    metrics = {"rfid": 3.0, "psnr": 21.0, "bits_per_image": 400.0}
    tree.score("reconstruction/jpeg/q10/seed0", "reconstruction", subject, metrics)
    wanted = HardAndSoft(hard=HARD, soft=SOFT, bits=(8, 2), codecs={"jpeg": (10,)})
    svg, _, csv = draw(tree, wanted, tmp_path / "figure")
    data = pd.read_csv(csv)
    assert data["label"].iloc[-1] == "JPEG 10"
    assert "linear_probe_top1" not in data
    assert "JPEG" in svg.read_text()


def test_the_scores_it_asks_for():
    wanted = HardAndSoft(hard=HARD, soft=SOFT, bits=(1, 3, 3), codecs={"webp": (7,)}, probed=HARD[:1])
    assert wanted.scores == (
        "reconstruction/l2/stage2",
        "reconstruction/vqgan",
        "reconstruction/vae/single_stage-3bit",
        "reconstruction/vae/single_stage-1bit",
        "reconstruction/webp/q7",
        "probe/l2",
    )


def test_missing_points_and_rows_without_bits_are_named(tree, tmp_path):
    with_curve(tree, bits=(8,))
    with pytest.raises(MissingScore, match=r"scores/reconstruction/vae/single_stage-2bit/seed\*.json"):
        draw(tree, HardAndSoft(soft=SOFT, bits=(8, 2)), tmp_path / "figure")
    path = tree.root / "scores/reconstruction/vqgan.json"
    path.write_text(path.read_text().replace('"codebook_size": 64', '"codebook_size": null'))
    with pytest.raises(MissingScore, match="VQGAN has no codebook and says no bits"):
        draw(tree, HardAndSoft(hard=HARD), tmp_path / "figure")


def test_all_are_scored_in_one_way(tree, tmp_path):
    with_curve(tree, protocol={"rounding": "truncate"})
    with pytest.raises(ScoreError):
        draw(tree, HardAndSoft(hard=HARD, soft=SOFT, bits=(8, 2)), tmp_path / "figure")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"soft": [{"label": "V", "tokenizer": "vqgan"}]}, "which has a codebook"),
        ({"hard": [{"label": "P", "paper": "table1/titok-l-32"}]}, "names no tokenizer"),
        ({"probed": [{"label": "L-2", "tokenizer": "l2"}]}, "not among its hard and soft rows"),
        ({"bits": [9]}, "bits"),
    ],
)
def test_what_it_refuses(settings, said):
    with pytest.raises(ValueError, match=said):
        HardAndSoft.model_validate(settings)
