"""Copies of one run under several seeds are one repetition, wherever numbers are judged, and are told.

Run: pytest tests/reporting/test_copies.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from reporting.conftest import PAPER, Tree
from reporting.test_compare import L2, MODEL, run_of

from titok.reporting.checks import run_checks
from titok.reporting.collect import Scores, read_scores
from titok.reporting.compare import compare_runs
from titok.reporting.compare_text import notes
from titok.reporting.copies import copies_said
from titok.reporting.numbers import What
from titok.reporting.paper import read_paper
from titok.reporting.tables import build_table

SAMPLES = What("samples", "g", sampler="s")


def with_sums(tree: Tree, sums: list[str], role: str = "model", **subject: Any) -> Scores:
    """Records of a tokenizer at several seeds with the same numbers, whose provenance has these sums."""
    for seed, digest in enumerate(sums):
        path = tree.score(
            f"reconstruction/x/stage2/seed{seed}",
            "reconstruction",
            {"tokenizer": "x", "stage": "stage2", "seed": seed, **subject},
            {"rfid": 5.0, "psnr": 20.0},
        )
        record = json.loads(path.read_text())
        record["provenance"] = {**record["provenance"], "inputs": {role: {"sha256": digest}}}
        path.write_text(json.dumps(record))
    return read_scores(tree.scores)


def test_three_copies_are_one_repetition(tree: Tree) -> None:
    scores = with_sums(tree, ["aa", "aa", "aa"])
    records = scores.select("reconstruction", tokenizer="x", stage="stage2")
    found = scores.statistic(records, "rfid")
    assert found is not None
    assert (found.n, scores.by_seed(records, "rfid")) == (1, {0: 5.0})
    assert [(Path(one.file).name, Path(one.of).name) for one in scores.copies] == [
        ("seed1.json", "seed0.json"),
        ("seed2.json", "seed0.json"),
    ]
    assert "seed2.json has the weights of" in copies_said(scores.copies)


@pytest.mark.parametrize(("sums", "kept"), [(["aa", "bb", "aa"], 2), (["aa", "bb", "cc"], 3), (["", "", ""], 3)])
def test_equal_numbers_of_other_bits_are_repetitions(tree: Tree, sums: list[str], kept: int) -> None:
    assert len(with_sums(tree, sums).select("reconstruction", tokenizer="x")) == kept


def test_released_weights_are_alike_by_intent_and_samples_never(tree: Tree) -> None:
    assert len(with_sums(tree, ["aa", "aa"], recipe="released").select("reconstruction", tokenizer="x")) == 2
    assert len(with_sums(tree, ["aa", "aa"], "samples", recipe="released").select("reconstruction", tokenizer="x")) == 1


def test_pages_tell_and_no_record_is_missing(tree: Tree, reporting: Any) -> None:
    scores = with_sums(tree, ["aa", "aa", "bb"])
    planned = [str(path) for path in tree.scores]
    complete = run_checks(scores, reporting, planned)[0]
    assert complete.passed
    assert "seed1.json has the weights of" in complete.explanation
    table = build_table("table1", reporting.tables, scores, read_paper(PAPER))
    assert table.notes[-1].startswith("Copies of one run count as one repetition: ")


def test_two_runs_are_compared_without_copies() -> None:
    honest = {"rfid": [10.0, 10.5, 9.6], "psnr": [20.0, 21.0, 22.0]}
    a, b = run_of({"rfid": [9.9, 9.9, 9.9], "psnr": [21.0, 21.0, 21.0]}), run_of(honest, first_seed=3)
    a.numbers.update(run_of({"weights": ["aa", "aa", "aa"]}, what=MODEL).numbers)
    b.numbers.update(run_of({"weights": ["bb", "cc", "dd"]}, what=MODEL, first_seed=3).numbers)
    found = {one.metric: one for one in compare_runs(a, b)}
    assert {name: found[name].verdict for name in honest} == {"rfid": "not judged", "psnr": "not judged"}
    assert found["rfid"].a is not None
    assert list(found["rfid"].a.numbers) == [0]
    (told,) = [note for note in notes(a, b, list(found.values())) if "copies" in note]
    assert told.startswith(f"copies count as one repetition; in A seed 1 of {L2} has the bits of seed 0")


@pytest.mark.parametrize(("kind", "metric"), [("samples", "samples"), ("generator", "weights")])
def test_samples_drawn_anew_are_no_copies(kind: str, metric: str) -> None:
    a = run_of({"gfid": [9.9, 9.8, 9.9]}, what=What("generation", "g", sampler="s"))
    a.numbers.update(run_of({metric: ["aa", "aa", "bb"]}, what=SAMPLES._replace(kind=kind)).numbers)
    (found,) = [one for one in compare_runs(a, a) if one.metric == "gfid"]
    assert found.a is not None
    assert list(found.a.numbers) == ([0, 2] if kind == "samples" else [0, 1, 2])
