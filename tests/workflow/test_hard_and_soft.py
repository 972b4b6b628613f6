"""A figure of hard and soft tokens asks for every point of its curves, of every seed.

Run: pytest tests/workflow/test_hard_and_soft.py
"""

from __future__ import annotations

from typing import Any

import pytest
from config.studies import changed, study_of, tiny_document
from workflow.sandbox import Sandbox

pytestmark = pytest.mark.workflow

ROW = {"label": "VAE", "tokenizer": "vae", "stage": "single_stage"}


def with_figure(**changes: Any) -> dict[str, Any]:
    document = tiny_document()
    single = document["tokenizers"]["b2-single"]
    document = changed(document, "tokenizers.vae", {**single, "kind": "vae", "seeds": [0, 1]})
    document = changed(document, "probe.readings", [])  # a VAE has no codes
    hard = [{"label": "B-2", "tokenizer": "b2-single", "stage": "single_stage"}]
    shown = {"hard": hard, "soft": [ROW], "bits": [4, 1], "probed": [ROW], "codecs": {"jpeg": [10]}, **changes}
    return changed(document, "reporting.figures.hard_and_soft", shown)


def test_every_point_is_scored(empty: Sandbox) -> None:
    empty.write_study(with_figure())
    root = "results/tiny/scores/reconstruction/vae/single_stage"
    wanted = {f"{root}-{bits}bit/seed{seed}.json" for bits in (1, 4) for seed in (0, 1)}
    plan = empty.plan("results/tiny/figures/hard_and_soft.svg")
    assert set(plan.jobs("score_quantized")) == wanted
    assert len(plan.jobs("score_probe")) == 2
    assert set(empty.plan().jobs("score_quantized")) == wanted, "all figures and scores"


def test_rows_are_soft_and_of_the_study() -> None:
    hard = {"label": "B-2", "tokenizer": "b2-single", "stage": "single_stage"}
    with pytest.raises(ValueError, match=r"hard_and_soft\.soft\.0\.tokenizer is 'b2-single'"):
        study_of(with_figure(soft=[hard], probed=[]))
    with pytest.raises(ValueError, match=r"hard_and_soft\.soft\.0\.tokenizer"):
        study_of(with_figure(soft=[{**ROW, "tokenizer": "nobody"}], probed=[]))


def test_a_table_asks_for_costs_of_models_and_for_probes(empty: Sandbox) -> None:
    document = changed(tiny_document(), "floors", {"regions": {"kind": "regions", "regions": 9}})
    document = changed(document, "probe.readings", [])  # a VQGAN has one width, that of its bottleneck
    rows = [
        {"label": "S-1", "tokenizer": "s1", "stage": "stage1"},
        {"label": "VQGAN", "tokenizer": "vqgan"},
        {"label": "regions", "tokenizer": "regions", "stage": "floor"},
    ]
    empty.write_study(changed(document, "reporting.tables.token_kinds", {"rows": rows, "linear_probe": True}))
    costs = {"results/tiny/scores/costs/s1/stage1/seed0.json"}
    plan = empty.plan("results/tiny/tables/token_kinds.md")
    assert set(plan.jobs("score_costs")) == costs, "of the first seed, and of no floor"
    assert set(plan.jobs("score_costs_vqgan")) == {"results/tiny/scores/costs/vqgan.json"}
    assert len(plan.jobs("score_probe")) == 4, "two seeds each; probes of the one VQGAN have seeds, too"
    assert len(plan.jobs("score_floor")) == 1
    assert set(empty.plan().jobs("score_costs")) == costs
