"""rFID against gFID: the correlation against scipy's, its interval by simulation, and the figure's own numbers.

Run: pytest tests/reporting/test_rank_agreement.py
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from titok.config.figures import FEWEST_PLACES, Figures
from titok.config.reporting import Reporting, Tables
from titok.errors import ScoreError
from titok.reporting.collect import MissingScore, read_scores
from titok.reporting.figures.figure import Sources
from titok.reporting.figures.gallery import make_figure
from titok.reporting.figures.rfid_against_gfid import rfid_against_gfid
from titok.reporting.rank_agreement import FEWEST, spearman
from titok.reporting.style import figure_style


def test_the_correlation_is_scipys_with_ties_too():
    draws = np.random.default_rng(1)
    for count in (4, 7, 21):
        first, second = draws.normal(size=count).round(1), draws.normal(size=count).round(0)
        expected = spearmanr(first, second).statistic
        assert spearman(first, second, resamples=10).value == pytest.approx(expected, abs=1e-12)


def test_perfect_orders_are_exact_and_constants_have_none():
    rising = np.array([1.0, 2.0, 5.0, 9.0])
    assert spearman(rising, rising**3)[:3] == (1.0, 1.0, 1.0)
    assert spearman(rising, -rising).value == -1.0
    assert np.isnan(spearman(rising, np.ones(4)).value)
    assert np.isnan(spearman(rising, np.ones(4)).low)


def test_how_often_chance_agrees_as_much_is_counted():
    """Of the 24 orders of four places two are perfect, one of them backwards; six are -0.8 or further, with +0.8: 8."""
    rising = np.arange(4.0)
    assert spearman(rising, rising).by_chance == pytest.approx(2 / 24, abs=0.01)
    assert spearman(rising, np.array([0.0, 1, 3, 2])).by_chance == pytest.approx(8 / 24, abs=0.015)


def test_the_interval_holds_the_true_correlation_about_as_often_as_it_says():
    """Pairs of normal numbers with r = 0.6 have Spearman's 6 / pi asin(r / 2) = 0.582; percentile intervals of 21 pairs
    are a little too narrow."""
    draws, true = np.random.default_rng(2), 6 / np.pi * np.arcsin(0.3)
    held = 0
    for number in range(300):
        pairs = draws.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=21)
        found = spearman(*pairs.T, resamples=400, seed=number)
        held += found.low <= true <= found.high
    assert 0.88 < held / 300 < 0.98


def test_the_figure_shows_the_grids_places_and_says_the_correlation(tree, reporting, tmp_path, paper_file):
    wanted = reporting.model_copy(update={"figures": Figures(rfid_against_gfid=True)})
    assert "rfid_against_gfid" in wanted.wanted_figures
    files = make_figure("rfid_against_gfid", wanted, tmp_path / "f", Sources(tree.scores, paper_file=paper_file))
    data = pd.read_csv(files[2])
    assert data[["size", "k"]].to_numpy().tolist() == [["l", k] for k in (1, 2, 4, 8)]
    expected = spearmanr(data["rfid"], data["gfid"]).statistic
    assert data["spearman"].tolist() == pytest.approx([expected] * 4)
    assert data["gfid"].tolist() == [6.0, 4.0, 3.0, 2.5]
    records = [json.loads(path.read_text()) for path in tree.scores if "reconstruction/l4/stage1" in str(path)]
    assert data["rfid"][2] == pytest.approx(np.mean([record["metrics"]["rfid"]["value"] for record in records]))
    assert f"Spearman {expected:.2f} [" in files[0].read_text()


def test_a_study_with_too_few_places_is_refused_before_it_runs(reporting):
    grid = reporting.tables.table4.model_copy(update={"tokens": (1, 2, 4)})
    for fewer, places in ((grid, 3), (None, 0)):
        with pytest.raises(ValueError, match=f"but {places} places of tables.table4 have a generator"):
            Reporting(tables=Tables(table4=fewer), figures=Figures(rfid_against_gfid=True))
    assert FEWEST == FEWEST_PLACES


def test_it_is_not_made_unless_asked_for(reporting):
    assert "rfid_against_gfid" not in reporting.wanted_figures
    assert "rfid_against_gfid" not in reporting.figures.resolved()


def test_too_few_places_and_mixed_protocols_are_refused(tree, reporting):
    grid = reporting.tables.table4
    fewer = grid.model_copy(update={"tokens": (1, 2, 4)})
    with figure_style(), pytest.raises(MissingScore, match="3 places of the grid have an rFID and a gFID"):
        rfid_against_gfid(fewer, read_scores(tree.scores))
    path = next(path for path in tree.scores if "generation/l8-vit" in str(path))
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"protocol_id": "0" * 12}))
    with figure_style(), pytest.raises(ScoreError):
        rfid_against_gfid(grid, read_scores(tree.scores))
