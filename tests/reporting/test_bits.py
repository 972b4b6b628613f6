"""Bits against quality: the numbers behind the figure, and what it refuses.

Run: pytest tests/reporting/test_bits.py
"""

from __future__ import annotations

import pandas as pd
import pytest

from titok.config.figure_settings import Rates
from titok.config.figures import Figures
from titok.config.reporting import Reporting
from titok.config.rows import Row
from titok.errors import ScoreError
from titok.reporting.collect import MissingScore, read_scores
from titok.reporting.figures.figure import Sources
from titok.reporting.figures.gallery import make_figure

ROWS = (Row(label="L-2", tokenizer="l2"), Row(label="S-8", tokenizer="s8"), Row(label="VQGAN", tokenizer="vqgan"))


def with_codecs(tree, qualities=(10, 90), **options):
    for quality in qualities:
        subject = {"tokenizer": "jpeg", "stage": f"q{quality}", "seed": 0, "recipe": "codec"}
        metrics = {"rfid": 30.0 / quality, "psnr": 20.0 + quality / 10, "bits_per_image": 40.0 * quality}
        tree.score(f"reconstruction/jpeg/q{quality}/seed0", "reconstruction", subject, metrics, **options)


def draw(tree, wanted, prefix):
    reporting = Reporting(figures=Figures(rates=wanted), figure_dpi=60)
    return make_figure("rates", reporting, prefix, Sources(tree.scores))


def test_the_numbers_behind_the_figure(tree, tmp_path):
    with_codecs(tree)
    svg, png, csv = draw(tree, Rates(rows=ROWS, codecs={"jpeg": (10, 90)}), tmp_path / "rates")
    data = pd.read_csv(csv).fillna("")
    assert list(data["label"]) == ["L-2", "S-8", "VQGAN", "JPEG 10", "JPEG 90"]
    # Codebooks of 64 codes: 6 bits a token.
    assert list(data["bits_per_image"]) == [12.0, 48.0, 96.0, 400.0, 3600.0]
    assert list(data["codec"]) == ["", "", "", "jpeg", "jpeg"]
    expected = read_scores(tree.scores).select("reconstruction", tokenizer="l2", stage="stage2")
    assert data["rfid"][0] == pytest.approx(expected["rfid"].mean())
    assert data["psnr"][3] == 21.0
    text = svg.read_text()
    assert all(word in text for word in ("JPEG", "L-2", "bits per image", "PSNR"))
    assert png.stat().st_size > 1000


def test_the_same_numbers_give_the_same_bytes(tree, tmp_path):
    with_codecs(tree)
    wanted = Rates(rows=ROWS, codecs={"jpeg": (10, 90)})
    first, second = (draw(tree, wanted, tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_no_codecs_are_needed(tree, tmp_path):
    _, _, csv = draw(tree, Rates(rows=ROWS), tmp_path / "rates")
    assert len(pd.read_csv(csv)) == 3


def test_missing_scores_and_continuous_tokens_are_named(tree, tmp_path):
    with pytest.raises(MissingScore, match=r"scores/reconstruction/webp/q7/seed\*.json"):
        draw(tree, Rates(rows=ROWS, codecs={"webp": (7,)}), tmp_path / "rates")
    path = tree.root / "scores/reconstruction/vqgan.json"
    path.write_text(path.read_text().replace('"codebook_size": 64', '"codebook_size": null'))
    with pytest.raises(MissingScore, match="VQGAN has no codebook"):
        draw(tree, Rates(rows=ROWS), tmp_path / "rates")


def test_codecs_are_scored_as_the_tokenizers_are(tree, tmp_path):
    with_codecs(tree, protocol={"rounding": "truncate"})
    with pytest.raises(ScoreError):
        draw(tree, Rates(rows=ROWS, codecs={"jpeg": (10, 90)}), tmp_path / "rates")
