"""Trends of a study: found where they are, open where seeds are few, and never decided by what is missing.

Run: pytest tests/reporting/test_trends.py
"""

from __future__ import annotations

import json

import pytest

from titok.config.reporting import Reporting
from titok.config.rows import Grid, GridGenerators
from titok.reporting.collect import MissingScore, read_scores
from titok.reporting.quantity import Quantity
from titok.reporting.trends import GridTrends, Trend, study_trends, trend_functions

NAMES = [
    *(f"rfid_falls_with_k/{size}" for size in "sbl"),
    *(f"larger_is_better/{pair}" for pair in ("s-b", "b-l")),
    *(f"finetuning_lowers_rfid/{name}" for name in ("b4", "l2", "s8")),
]


def trends_of(tree, reporting) -> dict[str, Trend]:
    return {trend.name: trend for trend in study_trends(reporting, read_scores(tree.scores))}


def words(tree, reporting, word: str) -> list[str]:
    return [name for name, trend in trends_of(tree, reporting).items() if trend.judgement.word == word]


def test_all_hold_where_the_study_shows_them(seeded, reporting):
    assert list(trends_of(seeded, reporting)) == NAMES
    assert words(seeded, reporting, "agrees") == NAMES
    assert {trend.judgement.seeds for trend in trends_of(seeded, reporting).values()} == {5}


def test_two_seeds_leave_all_open(tree, reporting):
    assert words(tree, reporting, "undecided") == NAMES


@pytest.mark.parametrize(
    ("where", "value", "name"),
    [
        ("reconstruction/b8/stage1", 15.0, "rfid_falls_with_k/b"),
        ("reconstruction/b1/stage1", 40.0, "larger_is_better/s-b"),
        ("reconstruction/l2/stage2", 30.0, "finetuning_lowers_rfid/l2"),
    ],
)
def test_a_broken_trend_is_contradicted(seeded, reporting, where, value, name):
    for seed in range(5):
        seeded.edit(f"{where}/seed{seed}", "rfid", value + 0.1 * seed)
    assert words(seeded, reporting, "differs") == [name]


@pytest.mark.parametrize("value", [None, float("inf"), 0.0])
def test_what_is_no_number_leaves_its_trends_open(seeded, reporting, value):
    """A distance of 0 has no logarithm, so no slope; and one that is far from the others' opens the difference."""
    seeded.edit("reconstruction/s8/stage1/seed3", "rfid", value)
    assert words(seeded, reporting, "undecided") == ["rfid_falls_with_k/s", "finetuning_lowers_rfid/s8"]
    because = trends_of(seeded, reporting)["rfid_falls_with_k/s"].judgement.because
    assert because == "a number is not finite"


def test_other_seeds_are_compared_without_pairs(seeded, reporting):
    """L-2's second stage ran with seeds 10 to 14."""
    for seed in range(5):
        path = seeded.root / f"scores/reconstruction/l2/stage2/seed{seed}.json"
        record = json.loads(path.read_text())
        record["subject"]["seed"] = 10 + seed
        path.write_text(json.dumps(record))
    found = trends_of(seeded, reporting)["finetuning_lowers_rfid/l2"].judgement
    assert (found.word, found.seeds) == ("agrees", 5)


def test_scores_that_are_missing_are_named(seeded, reporting):
    without = [path for path in seeded.scores if "reconstruction/l8" not in path.as_posix()]
    found = {trend.name: trend.judgement for trend in study_trends(reporting, read_scores(without))}
    assert found["rfid_falls_with_k/s"].word == "not run"
    assert "reconstruction/l8/stage1" in found["rfid_falls_with_k/s"].because
    assert found["finetuning_lowers_rfid/l2"].word == "agrees"


def test_stages_scored_in_two_ways_are_not_compared(seeded, reporting):
    for seed in range(5):
        subject = {"tokenizer": "l2", "stage": "stage2", "seed": seed}
        where = f"reconstruction/l2/stage2/seed{seed}"
        seeded.score(where, "reconstruction", subject, {"rfid": 0.1}, {"num_images": 7})
    found = trends_of(seeded, reporting)
    own = found["finetuning_lowers_rfid/l2"].judgement
    assert own.word == "not comparable"
    assert "num_images: 500 and 7" in own.because
    assert found["finetuning_lowers_rfid/b4"].judgement.word == "agrees"


def test_studies_without_grid_or_stages_have_no_trends(seeded):
    only = [path for path in seeded.scores if "probe" in path.as_posix()]
    assert study_trends(Reporting(), read_scores(only)) == []
    assert study_trends(Reporting(), read_scores([])) == []


def of_grid(tree, **changes) -> GridTrends:
    return GridTrends(Grid(**{"tokens": (1, 2, 4, 8), **changes}), read_scores(tree.scores))


def test_every_size_is_asked_for(seeded):
    """One size alone used to 'verify' what is said of all, and a metric missing of two to be passed over."""
    one = trend_functions(Grid(tokens=(1, 2, 4, 8), sizes=("b",)), read_scores(seeded.scores))
    with pytest.raises(MissingScore, match="the grid has one size"):
        one["falls_with_tokens"]("rfid")
    with pytest.raises(MissingScore, match="of one size only"):
        one["larger_is_better"]("rfid")
    for path in seeded.scores:
        record = json.loads(path.read_text())
        if record["subject"].get("size") in ("s", "l"):
            record["metrics"].pop("rfid", None)
            path.write_text(json.dumps(record))
    for judged in (of_grid(seeded).falls_with_tokens, of_grid(seeded).larger_is_better, of_grid(seeded).gains_flatten):
        with pytest.raises(MissingScore, match="TiTok-S at K = 1 has no rfid"):
            judged("rfid")


def test_only_what_the_study_plans_is_asked_for(seeded):
    generators = GridGenerators(pattern="{size}{k}-vit", sampler="eight", sizes=("l",), tokens=(2, 4))
    grid = of_grid(seeded, generators=generators)
    assert list(grid.curves("gfid")) == ["l"]
    assert list(grid.curves("gfid")["l"]) == [2, 4]
    assert grid.curves("rfid")["s"][1].keys() == set(range(5))


def flattening(tree, *means: float):
    for size in "sbl":
        for k, mean in zip((1, 2, 4, 8), means, strict=True):
            for seed in range(5):
                tree.edit(f"reconstruction/{size}{k}/stage1/seed{seed}", "rfid", mean + 0.01 * ((seed * k + seed) % 3))
    return of_grid(tree).gains_flatten("rfid")


def test_gains_flatten_only_where_the_first_doubling_gains(seeded):
    """5 -> 6 and then down used to give a negative ratio, hence 'verified'; equal rFIDs a ZeroDivisionError."""
    assert flattening(seeded, 24, 12, 7, 5).word == "agrees"
    found = flattening(seeded, 5, 6, 4, 1)
    assert (found.word, found.because) == (
        "differs",
        "TiTok-S gains half of the first doubling or more by the last",
    )
    found = flattening(seeded, 5, 6, 7, 7.9)
    assert (found.word, found.because) == ("differs", "TiTok-S gains nothing by the first doubling")
    assert flattening(seeded, 24, 20, 12, 2).word == "differs"
    assert flattening(seeded, 5, 5, 4, 4).word == "undecided"


def test_half_the_tokens_is_a_geometric_mean(seeded):
    """L at K / 2 and B at K, B at K / 2 and S at K: all ratios 2 here, but one."""
    for size in "sbl":
        for k in (1, 2, 4, 8):
            for seed in range(5):
                value = 8.0 / k * (4 if (size, k) == ("s", 8) else 1)
                seeded.edit(f"reconstruction/{size}{k}/stage1/seed{seed}", "rfid", value)
    found = of_grid(seeded).half_the_tokens("rfid")
    assert found.value == pytest.approx((2.0**5 * 0.5) ** (1 / 6))
    assert found.seeds == pytest.approx(dict.fromkeys(range(5), found.value))


def test_ratios_by_zero_are_no_numbers(seeded):
    seeded.edit("reconstruction/l8/stage1/seed2", "psnr", 0.0)
    ratios = of_grid(seeded).speed_ratio("psnr", Quantity.exactly(4), Quantity.exactly(8))
    assert ratios[2].seeds[2] != ratios[2].seeds[2]
    assert ratios[2].seeds[1] == pytest.approx(18 / 22)


def test_small_ks_are_the_smaller_half(seeded):
    assert of_grid(seeded).few_tokens == (1, 2)
    assert GridTrends(Grid(tokens=(16, 32, 64, 128, 256)), read_scores([])).few_tokens == (16, 32, 64)


@pytest.mark.parametrize(
    ("mean", "concatenate", "word", "because"),
    [
        (-0.03, -0.02, "agrees", ""),
        (0.03, 0.02, "differs", ""),
        (-0.03, 0.02, "undecided", "how tokens are pooled decides: bottleneck by mean agrees"),
        (-0.03, None, "undecided", "nothing was read by both poolings (mean and concatenate); add to probe.readings"),
    ],
)
def test_fewer_tokens_are_more_semantic_only_by_either_pooling(seeded, reporting, mean, concatenate, word, because):
    """A mean over many tokens loses what single ones hold; side by side more tokens are more features."""
    for path in (path for path in seeded.scores if "probe" in path.as_posix()):
        record = json.loads(path.read_text())
        first = record["metrics"]["linear_probe_top1"]
        for pooling, slope in (("mean", mean), ("concatenate", concatenate)):
            if slope is not None:
                value = 0.5 + slope * record["subject"]["num_latent_tokens"] + 0.001 * record["subject"]["seed"]
                record["metrics"][f"linear_probe_top1_bottleneck_{pooling}"] = {**first, "value": value}
        path.write_text(json.dumps(record))
    scores = read_scores(seeded.scores)
    assert GridTrends(reporting.tables.table4, scores).falls_with_tokens("linear_probe_top1").word == "agrees"
    found = GridTrends(reporting.tables.table4, scores).falls_by_either_pooling("linear_probe_top1")
    assert found.word == word
    assert because in found.because
