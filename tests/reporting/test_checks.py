"""Checks: each passes on a study with the paper's trends, and fails by name when just that property is broken.

Run: pytest tests/reporting/test_checks.py
"""

from __future__ import annotations

import json
import math

import pytest

from titok.config.reporting import Checks, Reporting
from titok.reporting.checks import ChecksFailed, make_checks, require_passed, run_checks
from titok.reporting.collect import MissingScore, ProtocolMismatch, read_scores


def failed(tree, reporting) -> list[str]:
    return [check.name for check in run_checks(read_scores(tree.scores), reporting) if not check.passed]


def test_all_pass_on_honest_scores(tree, reporting):
    checks = run_checks(read_scores(tree.scores), reporting)
    assert [check.name for check in checks if not check.passed] == []
    assert {check.name.partition("/")[0] for check in checks} == {
        "scores_finite",
        "codebook_in_use",
        "finetuning_lowers_rfid",
        "rfid_falls_with_k",
        "larger_is_better",
        "readable_at_largest_k",
        "samples_read_as_asked",
    }
    assert all(check.files or check.name == "scores_finite" for check in checks)
    require_passed(checks)


@pytest.mark.parametrize(
    ("where", "metric", "value", "name"),
    [
        # K = 8 worse than K = 4 and K = 2: the ranks 4, 2, 1, 3 correlate with K by -0.4.
        ("reconstruction/b8/stage1/seed{}", "rfid", 15.0, "rfid_falls_with_k/b"),
        ("reconstruction/b1/stage1/seed{}", "rfid", 40.0, "larger_is_better/s-b"),
        ("reconstruction/l2/stage2/seed{}", "rfid", 30.0, "finetuning_lowers_rfid/l2"),
        ("reconstruction/s8/stage1/seed{}", "classifier_accuracy", 0.89, "readable_at_largest_k/s"),
        ("reconstruction/s8/stage2/seed{}", "classifier_accuracy", 0.89, "readable_at_largest_k/s8-final"),
        ("reconstruction/l4/stage1/seed{}", "codebook_usage", 0.016, "codebook_in_use"),
        ("reconstruction/l4/stage1/seed{}", "psnr", None, "scores_finite"),
    ],
)
def test_a_broken_property_is_named(tree, reporting, where, metric, value, name):
    for seed in (0, 1):
        tree.edit(where.format(seed), metric, value)
    assert failed(tree, reporting) == [name]


def test_one_bad_seed_counts_in_the_mean(tree, reporting):
    tree.edit("reconstruction/s8/stage1/seed0", "classifier_accuracy", 0.84)
    assert failed(tree, reporting) == ["readable_at_largest_k/s"]


def test_one_collapsed_seed_is_enough(tree, reporting):
    tree.edit("reconstruction/l4/stage1/seed1", "codebook_usage", 0.016)
    (check,) = [c for c in run_checks(read_scores(tree.scores), reporting) if not c.passed]
    assert check.value == 0.016
    assert check.files == [str(tree.root / "scores/reconstruction/l4/stage1/seed1.json")]


def test_samples_of_the_best_generator_by_gfid_are_judged(tree, reporting):
    tree.edit("generation/l8-vit/eight/seed0", "class_agreement", 0.79)
    assert failed(tree, reporting) == ["samples_read_as_asked"]
    other = reporting.model_copy(update={"checks": Checks(enabled=True, best_generator_by="class_agreement")})
    assert failed(tree, other) == []


def test_infinite_scores_are_named_with_their_file(tree, reporting):
    tree.edit("reconstruction/s1/stage1/seed0", "ssim", math.inf)
    check = run_checks(read_scores(tree.scores), reporting)[0]
    assert (check.name, check.passed, check.value) == ("scores_finite", False, 1.0)
    assert "ssim is inf in" in check.explanation
    assert "s1/stage1/seed0.json" in check.explanation


def test_missing_codebook_usage_and_unfinished_stages_ask_for_nothing(tree):
    only = [path for path in tree.scores if "probe" in path.as_posix()]
    checks = run_checks(read_scores(only), Reporting())
    assert [check.name for check in checks] == ["scores_finite"]


def test_studies_without_the_claim_are_spared_the_trend(tree, reporting):
    quiet = reporting.model_copy(update={"checks": Checks(enabled=False)})
    names = {check.name for check in run_checks(read_scores(tree.scores), quiet)}
    assert "rfid_falls_with_k/s" not in names
    assert "finetuning_lowers_rfid/l2" in names


def test_a_hole_in_the_grid_is_an_error_and_no_pass(tree, reporting):
    without = [path for path in tree.scores if "reconstruction/l8" not in path.as_posix()]
    with pytest.raises(MissingScore, match="reconstruction/l8/stage1"):
        run_checks(read_scores(without), reporting)


def test_stages_scored_in_two_ways_are_not_compared(tree, reporting):
    for seed in (0, 1):
        subject = {"tokenizer": "l2", "stage": "stage2", "seed": seed}
        where = f"reconstruction/l2/stage2/seed{seed}"
        tree.score(where, "reconstruction", subject, {"rfid": 0.1}, {"num_images": 7})
    with pytest.raises(ProtocolMismatch, match="finetuning_lowers_rfid/l2"):
        run_checks(read_scores(tree.scores), reporting)


def test_files_and_the_error_name_what_failed(tree, reporting, tmp_path):
    for seed in (0, 1):
        tree.edit(f"reconstruction/s8/stage1/seed{seed}", "classifier_accuracy", 0.5)
    checks = make_checks(reporting, tree.scores, tmp_path / "checks.json")
    written = json.loads((tmp_path / "checks.json").read_text())
    assert [entry["name"] for entry in written if not entry["passed"]] == ["readable_at_largest_k/s"]
    text = (tmp_path / "checks.md").read_text()
    assert text.startswith(f"{len(checks) - 1} of {len(checks)} checks passed.")
    assert "| **FAIL** | readable_at_largest_k/s | 0.5 | >= 0.9 |" in text
    with pytest.raises(
        ChecksFailed, match=r"1 check\(s\) failed:\n  - readable_at_largest_k/s: 0\.5 \(needs >= 0\.9\)"
    ):
        require_passed(checks)


def test_nan_fails_and_stays_json(tree, reporting, tmp_path):
    for seed in (0, 1):
        tree.edit(f"reconstruction/s8/stage1/seed{seed}", "classifier_accuracy", None)
    checks = make_checks(reporting, tree.scores, tmp_path / "checks.json")
    (check,) = [check for check in checks if check.name == "readable_at_largest_k/s"]
    assert (check.passed, check.value) == (False, None)
