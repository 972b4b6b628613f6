"""Working checks: all pass on a study that works, and each fails by name when just that property is broken.

Run: pytest tests/reporting/test_checks.py
"""

from __future__ import annotations

import json
import math

import pytest
from reporting.conftest import PROTOCOL, Tree

from titok.config.reporting import Reporting
from titok.config.working_checks import Checks
from titok.reporting.checks import Check, ChecksFailed, require_passed, run_checks, shown_value
from titok.reporting.collect import read_scores

NAMES = {
    "scores_complete",
    "scores_finite",
    "codebook_in_use",
    "better_than_the_mean_image",
    "judge_reads_real_images",
    "reconstructions_read",
    "samples_read",
}


def checks_of(tree: Tree, reporting: Reporting) -> dict[str, Check]:
    return {check.name: check for check in run_checks(read_scores(tree.scores), reporting)}


def failed(tree: Tree, reporting: Reporting) -> list[str]:
    return [name for name, check in checks_of(tree, reporting).items() if not check.passed]


def test_all_pass_on_honest_scores(tree, reporting):
    checks = checks_of(tree, reporting)
    assert set(checks) == NAMES
    assert failed(tree, reporting) == []
    assert all(check.files for name, check in checks.items() if name not in ("scores_complete", "scores_finite"))
    require_passed(checks.values())


@pytest.mark.parametrize(
    ("where", "metric", "value", "name"),
    [
        # A quarter of the way from 0.11 to 0.99 is 0.33.
        ("reconstruction/s1/stage1/seed1", "classifier_accuracy", 0.329, "reconstructions_read"),
        ("reconstruction/s8/stage2/seed0", "classifier_accuracy", 0.11, "reconstructions_read"),
        ("reconstruction/vqgan", "classifier_accuracy", None, "scores_finite"),
        ("generation/l4-vit/eight/seed0", "class_agreement", 0.329, "samples_read"),
        ("reconstruction/l4/stage1/seed1", "codebook_usage", 0.016, "codebook_in_use"),
        ("reconstruction/s8/stage2/seed0", "explained_variance", 0.099, "better_than_the_mean_image"),
        ("reconstruction/vqgan", "explained_variance", -1.0, "better_than_the_mean_image"),
        ("reconstruction/l4/stage1/seed1", "psnr", None, "scores_finite"),
    ],
)
def test_a_broken_property_is_named(tree, reporting, where, metric, value, name):
    """One record is enough, of whatever seed: nothing is averaged away."""
    tree.edit(where, metric, value)
    assert name in failed(tree, reporting)
    if value is not None:
        assert failed(tree, reporting) == [name]
        check = checks_of(tree, reporting)[name]
        assert (check.value, check.files) == (value, [str(tree.root / "scores" / f"{where}.json")])


def test_numbers_at_their_margin_pass(tree, reporting):
    """0.11 + 0.25 * (0.99 - 0.11) is 0.33 or its neighbour, whichever the rounding gives."""
    tree.edit("reconstruction/s1/stage1/seed1", "classifier_accuracy", 0.33)
    tree.edit("generation/l8-vit/eight/seed0", "class_agreement", 0.11 + (0.99 - 0.11) / 4)
    assert failed(tree, reporting) == []


def test_no_page_is_green_on_nothing(tree, reporting):
    """Everything at chance, as of photographs with toy settings: a judge that reads nothing, grey reconstructions."""
    for path in tree.scores:
        where = path.relative_to(tree.root / "scores").with_suffix("").as_posix()
        if where.startswith("reconstruction"):
            tree.edit(where, "judge_accuracy", 0.125)
            tree.edit(where, "classifier_accuracy", 0.12)
            tree.edit(where, "explained_variance", -0.002)
        elif where.startswith("generation"):
            tree.edit(where, "class_agreement", 0.1)
    assert failed(tree, reporting) == [
        "better_than_the_mean_image",
        "judge_reads_real_images",
        "reconstructions_read",
        "samples_read",
    ]
    judge = checks_of(tree, reporting)["judge_reads_real_images"]
    assert judge.value == 0.125
    assert judge.threshold == ">= 0.3325"
    assert "by chance (11.0%" in judge.explanation


def test_codes_may_miss_the_pixels_where_a_classifier_reads_what_they_draw(tree, reporting):
    """Stage 1 with few tokens draws sharp pictures of something else, farther away than the mean image."""
    tree.edit("reconstruction/s1/stage1/seed1", "explained_variance", -0.2)
    assert failed(tree, reporting) == []
    record = json.loads((path := tree.root / "scores/reconstruction/s1/stage1/seed1.json").read_text())
    del record["metrics"]["classifier_accuracy"]
    path.write_text(json.dumps(record))
    assert failed(tree, reporting) == ["better_than_the_mean_image", "reconstructions_read"]


def test_samples_alone_show_nothing_about_their_judge(tree, reporting):
    only = [path for path in tree.scores if "generation" in path.as_posix()]
    found = {check.name: check for check in run_checks(read_scores(only), reporting) if not check.passed}
    assert set(found) == {"judge_reads_real_images", "samples_read"}
    assert found["samples_read"].threshold == ">= chance, which no record states"
    probes = [path for path in tree.scores if "probe" in path.as_posix()]
    assert all(check.passed for check in run_checks(read_scores(probes), reporting))


def test_no_scores_at_all_are_no_success(reporting):
    checks = run_checks(read_scores([]), reporting)
    assert [check.name for check in checks if not check.passed] == ["scores_complete"]


@pytest.mark.parametrize("metric", ["judge_accuracy", "explained_variance", "classifier_accuracy"])
def test_what_nobody_measured_is_no_success(tree, reporting, metric):
    for path in tree.scores:
        record = json.loads(path.read_text())
        record["metrics"].pop(metric, None)
        path.write_text(json.dumps(record))
    name = {"judge_accuracy": "judge_reads_real_images", "explained_variance": "better_than_the_mean_image"}
    (check,) = [check for check in checks_of(tree, reporting).values() if not check.passed]
    assert check.name == name.get(metric, "reconstructions_read")
    assert check.value is None
    assert "again" in check.explanation


def test_every_row_that_a_table_shows_is_looked_at_and_no_best_one_is_picked(tree, reporting):
    """The worst by far has the best gFID, and is found; a run that nothing shows is not asked for."""
    tree.edit("generation/l8-vit/eight/seed0", "gfid", 0.01)
    tree.edit("generation/l8-vit/eight/seed0", "class_agreement", 0.2)
    tree.edit("generation/l8-vit/unguided/seed0", "class_agreement", 0.0)
    check = checks_of(tree, reporting)["samples_read"]
    assert (check.passed, check.value) == (False, 0.2)
    assert "l8-vit with eight, seed 0" in check.explanation


def test_few_images_do_not_pass_by_luck(tree, reporting):
    """Of 20 images, 0.45 is 4.9 standard deviations above 0.11, though a third of the way to 0.99."""
    protocol = {**PROTOCOL, "num_images": 20}
    for path in tree.scores:
        record = json.loads(path.read_text()) | {"protocol": protocol, "protocol_id": "few"}
        path.write_text(json.dumps(record))
    tree.edit("reconstruction/s1/stage1/seed1", "classifier_accuracy", 0.45)
    assert failed(tree, reporting) == ["reconstructions_read"]
    needed = 0.11 + 5 * (0.11 * 0.89 / 20) ** 0.5
    assert checks_of(tree, reporting)["reconstructions_read"].threshold == f">= {needed:.4g}"


def test_a_codebook_is_held_against_what_so_many_tokens_could_use(tree, reporting):
    """500 images of one token each can use 500 of 8192 codes: 4 % of the codebook are two thirds of them."""
    subject = {"tokenizer": "s1", "stage": "stage1", "seed": 0, "num_latent_tokens": 1, "codebook_size": 8192}
    where = "reconstruction/s1/stage1/seed0"
    metrics = dict.fromkeys(("explained_variance", "judge_accuracy", "classifier_accuracy", "rfid"), 0.5)
    metrics["chance_accuracy"] = 0.11
    tree.score(where, "reconstruction", subject, {**metrics, "codebook_usage": 0.04})
    assert checks_of(tree, reporting)["codebook_in_use"].passed
    tree.score(where, "reconstruction", subject, {**metrics, "codebook_usage": 0.004})
    assert checks_of(tree, reporting)["codebook_in_use"].value == pytest.approx(0.004 * 8192 / 500)


def test_codecs_may_be_as_bad_as_they_like(tree, reporting):
    subject = {"tokenizer": "jpeg", "stage": "q1", "seed": 0, "recipe": "codec"}
    metrics = {"rfid": 90.0, "explained_variance": -3.0, "judge_accuracy": 0.99, "chance_accuracy": 0.11}
    tree.score("reconstruction/jpeg/q1/seed0", "reconstruction", subject, {**metrics, "classifier_accuracy": 0.1})
    assert failed(tree, reporting) == []


def test_infinite_scores_are_named_with_their_file(tree, reporting):
    tree.edit("reconstruction/s1/stage1/seed0", "ssim", math.inf)
    check = checks_of(tree, reporting)["scores_finite"]
    assert (check.passed, check.value) == (False, 1.0)
    assert "ssim is inf in" in check.explanation
    assert "s1/stage1/seed0.json" in check.explanation


def test_planned_scores_that_are_not_there_are_named_wherever_the_study_lies(tree, reporting):
    planned = [f"results/digits/scores/{path.relative_to(tree.root / 'scores').as_posix()}" for path in tree.scores]
    given = [path for path in tree.scores if "reconstruction/l8" not in path.as_posix()]
    check = run_checks(read_scores(tree.scores), reporting, planned)[0]
    assert (check.name, check.passed, check.value) == ("scores_complete", True, 0.0)
    check = run_checks(read_scores(given), reporting, planned)[0]
    assert (check.passed, check.value) == (False, 2.0)
    assert "reconstruction/l8/stage1/seed0.json; reconstruction/l8/stage1/seed1.json" in check.explanation


def test_inception_reads_no_classes_of_a_study(tree, reporting):
    protocol = {**PROTOCOL, "extractor": {"kind": "inception"}}
    for path in tree.scores:
        record = json.loads(path.read_text()) | {"protocol": protocol, "protocol_id": "inception"}
        record["metrics"].pop("classifier_accuracy", None)
        path.write_text(json.dumps(record))
    assert set(checks_of(tree, reporting)) == {
        "scores_complete",
        "scores_finite",
        "codebook_in_use",
        "better_than_the_mean_image",
    }


def test_studies_that_only_try_the_machinery_say_so(tree, reporting):
    quiet = reporting.model_copy(update={"checks": Checks(enabled=False)})
    assert set(checks_of(tree, quiet)) == {"scores_complete", "scores_finite"}


def test_the_error_names_what_failed(tree, reporting):
    tree.edit("reconstruction/s8/stage1/seed0", "classifier_accuracy", 0.2)
    with pytest.raises(
        ChecksFailed, match=r"1 working check\(s\) failed:\n  - reconstructions_read: 0\.2 \(needs >= 0\.33\)"
    ):
        require_passed(checks_of(tree, reporting).values())


def test_a_failure_never_reads_like_a_success():
    check = Check("x", False, 0.32999996, ">= 0.33", "", [])
    assert shown_value(check) == "0.32999996"
    assert shown_value(Check("x", True, 0.32999996, ">= 0.33", "", [])) == "0.33"
    assert shown_value(Check("x", False, None, ">= 0.33", "", [])) == "-"
