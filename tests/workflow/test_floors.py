"""Floors stand in a study as rows like any other: patches for every seed, regions once.

Run: pytest tests/workflow/test_floors.py
"""

from __future__ import annotations

from typing import Any

import pytest
from config.studies import changed, study_of, tiny_document
from workflow.sandbox import Sandbox

from titok.config.targets import Targets

pytestmark = pytest.mark.workflow

FLOORS = {
    "patches-8": {"kind": "patches", "patch_size": 4, "codebook_size": 8},
    "regions-9": {"kind": "regions", "regions": 9},
}


def with_floors(**changes: Any) -> dict[str, Any]:
    document = changed(tiny_document(), "floors", {**FLOORS, **changes})
    rows = document["reporting"]["tables"]["table3c"]["rows"]
    shown = [{"label": name, "tokenizer": name, "stage": "floor"} for name in FLOORS]
    return changed(document, "reporting.tables.table3c.rows", [*rows, *shown])


def test_rows_of_a_table_ask_for_their_scores(empty: Sandbox) -> None:
    empty.write_study(with_floors())
    seeds = Targets(study_of(with_floors())).study.seeds
    root = "results/tiny/scores/reconstruction"
    wanted = {f"{root}/patches-8/floor/seed{seed}.json" for seed in seeds} | {f"{root}/regions-9/floor/seed0.json"}
    assert set(empty.plan("results/tiny/tables/table3c.md").jobs("score_floor")) == wanted
    assert set(empty.plan().jobs("score_floor")) == wanted, "every table and figure"


def test_seeds_are_no_setting_of_a_score() -> None:
    def told(**changes: Any) -> str:
        entry = {**FLOORS["patches-8"], **changes}
        return Targets(study_of(with_floors(**{"patches-8": entry}))).settings("floor", "patches-8")

    assert told(seeds=[5, 6]) == told()
    assert told(codebook_size=9) != told()


def test_names_stages_and_sizes_are_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"floors\.jpeg: a name that a tokenizer, a codec or the VQGAN has"):
        study_of(changed(tiny_document(), "floors", {"jpeg": FLOORS["patches-8"]}))
    document = with_floors()
    document["reporting"]["tables"]["table3c"]["rows"][-1]["stage"] = "stage2"
    with pytest.raises(ValueError, match="floor"):
        study_of(document)
    with pytest.raises(ValueError, match=r"floors\.patches-8: patch_size is 5, which does not divide"):
        study_of(with_floors(**{"patches-8": {**FLOORS["patches-8"], "patch_size": 5}}))
    with pytest.raises(ValueError, match="of which there are reconstructions and no tokens"):
        study_of(changed(with_floors(), "generators.b2-vit.tokenizer", "patches-8"))
