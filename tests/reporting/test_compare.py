"""Two runs held against each other: each verdict, the sentence about committed numbers, the verb and its page.

Run: pytest tests/reporting/test_compare.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reporting.conftest import Tree, write_tree
from scipy import stats

from titok.cli import main
from titok.errors import ScoreError
from titok.reporting.compare import Difference, compare_runs
from titok.reporting.documented import documented_lines
from titok.reporting.noise import difference_interval, next_seed, strays
from titok.reporting.numbers import Key, Number, Run, What

L2 = What("reconstruction", "l2", "stage1")
MODEL = What("tokenizer", "l2", "stage1")
HERE = {"arithmetic": ["portable"], "device": ["cpu"], "torch": ["2.9.0"], "architecture": ["x86_64"]}


def run_of(
    values: dict[str, list[float] | list[str]],
    what: What = L2,
    first_seed: int = 0,
    half: float | None = None,
    protocol: dict | None = None,
    **environment: str,
) -> Run:
    """A run with one list of values over seeds per metric; ``half`` an interval's half width."""
    numbers = {
        Key(what, first_seed + index, metric): Number(value)
        if isinstance(value, str)
        else Number(value, *((value - half, value + half) if half else (None, None)), "p" if protocol is None else "q")
        for metric, entries in values.items()
        for index, value in enumerate(entries)
    }
    protocols = {"p": {"num_images": 500}} | ({"q": protocol} if protocol is not None else {})
    here = HERE | {key: [value] for key, value in environment.items()}
    return Run("run", "digits", numbers, {}, {}, protocols, here)


def only(a: Run, b: Run) -> Difference:
    (found,) = compare_runs(a, b)
    return found


def test_intervals_are_those_of_scipys_t_tests() -> None:
    a, b = [1.0, 2.0, 4.0, 3.5], [2.0, 2.5, 4.4, 5.0]
    pairs = difference_interval(dict(enumerate(a)), dict(enumerate(b)))
    assert pairs == pytest.approx(stats.ttest_rel(a, b).confidence_interval(0.95))
    others = difference_interval(dict(enumerate(a)), dict(enumerate(b, start=10)))
    assert others == pytest.approx(stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95))


def test_one_more_seed_lies_in_its_interval_as_often_as_promised() -> None:
    draws = np.random.default_rng(0).normal(3, 2, size=(4000, 5))
    inside = [low <= new <= high for *seen, new in draws for low, high in [next_seed(seen)]]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)


def test_a_seed_far_from_the_others_is_found_and_honest_ones_are_not() -> None:
    honest = {0: 10.0, 1: 10.2, 2: 9.8}
    assert strays(honest, {0: 10.1, 1: 9.7, 2: 10.3}) == []
    assert strays(honest, honest | {1: 55.0}) == [1]


def test_seeds_that_are_all_alike_make_no_stranger_of_another() -> None:
    alike = {0: 0.5, 1: 0.5, 2: 0.5}
    assert strays(alike, {3: 0.5, 4: 0.502, 5: 0.504}) == []
    assert strays(alike, {3: 0.5, 4: 0.5, 5: 0.502}) == []
    assert strays({**alike, 1: 0.502}, {3: 0.5, 4: 0.5, 5: 0.9}) == [5]


def test_honest_seeds_stray_in_one_comparison_of_a_hundred() -> None:
    draws = np.random.default_rng(1).normal(3, 2, size=(3000, 6))
    told = [bool(strays(dict(enumerate(row[:3])), dict(enumerate(row[3:], start=3)))) for row in draws]
    assert 0.002 < np.mean(told) < 0.012


def test_equal_bit_for_bit() -> None:
    assert only(run_of({"rfid": [0.1, 0.2]}), run_of({"rfid": [0.1, 0.2]})).verdict == "equal"


@pytest.mark.parametrize("metric", ["rfid", "class_agreement", "bits_per_image@8"])
@pytest.mark.parametrize("values", [[0.5], [1.0, 0.5], [1.0, 1.0, 1.0]])
def test_equal_at_other_seeds_is_equal(metric: str, values: list[float]) -> None:
    found = only(run_of({metric: values}), run_of({metric: values[::-1]}, first_seed=7))
    assert found.verdict == "equal"
    assert found.why.startswith("the same at other seeds: seed")
    assert found.is_harmless
    beside = only(run_of({"rfid": values}), run_of({"rfid": [0.4, *values[1:]]}, first_seed=7))
    assert beside.verdict != "equal"


def test_swapped_seeds_are_no_equal_ones() -> None:
    assert only(run_of({"rfid": [1.0, 2.0]}), run_of({"rfid": [2.0, 1.0]})).verdict != "equal"


def test_the_last_bit_counts_and_is_called_rounding() -> None:
    found = only(run_of({"rfid": [0.3]}), run_of({"rfid": [0.1 + 0.2]}))
    assert found.verdict == "within noise"
    assert found.why.startswith("rounding")


def test_other_seeds_are_within_noise_or_differ_by_the_interval_of_their_difference() -> None:
    a = run_of({"rfid": [10.0, 10.5, 9.6]})
    near = only(a, run_of({"rfid": [10.2, 9.9, 10.6]}, first_seed=3))
    far = only(a, run_of({"rfid": [14.2, 13.9, 14.6]}, first_seed=3))
    assert (near.verdict, far.verdict) == ("within noise", "differ")
    assert near.why == "t interval over 3 and 3 seeds"
    assert far.difference == pytest.approx(-4.2)
    assert far.low is not None
    assert far.high is not None
    assert far.low < -4.2 < far.high < 0


def test_equal_seeds_are_judged_in_pairs() -> None:
    found = only(run_of({"rfid": [1.0, 5.0, 9.0]}), run_of({"rfid": [1.5, 5.52, 9.49]}))
    assert (found.verdict, found.why) == ("differ", "t interval over 3 and 3 seeds, in pairs")


def test_a_spoilt_seed_among_others_that_came_out_bit_for_bit_is_no_noise() -> None:
    a = {"rfid": [10.0, 14.0, 6.0], "psnr": [20.0, 21.0, 22.0], "ssim": [0.5, 0.6, 0.7]}
    b = {"rfid": [10.0, 18.0, 6.0], "psnr": [20.0, 21.5, 22.0], "ssim": [0.5, 0.61, 0.7]}
    verdicts = {one.metric: (one.verdict, one.why) for one in compare_runs(run_of(a), run_of(b))}
    assert set(verdicts.values()) == {("differ", "seed 1, while seed 0, 2 came out bit for bit")}
    b = {metric: [value * 1.01 for value in values[:1]] + values[1:] for metric, values in b.items()}
    b["ssim"][2] = 0.69
    assert {one.verdict for one in compare_runs(run_of(a), run_of(b))} == {"within noise"}


def test_few_seeds_are_judged_by_the_records_own_intervals() -> None:
    a = run_of({"gfid": [10.0]}, half=1.0, arithmetic="native")
    assert only(a, run_of({"gfid": [11.3]}, half=1.0)).verdict == "within noise"
    assert only(a, run_of({"gfid": [11.5]}, half=1.0)).verdict == "not judged", "beyond sqrt(2), but seeds are unknown"
    assert only(a, run_of({"gfid": [10.1]})).verdict == "not judged"


def test_where_bits_are_due_a_difference_beyond_images_is_one() -> None:
    found = only(run_of({"gfid": [10.0]}), run_of({"gfid": [10.1]}))
    assert found.verdict == "differ"
    assert "seeds and all that decides bits are alike" in found.why


def test_counts_have_no_noise() -> None:
    a = run_of({"parameters": [100, 100, 100]})
    assert only(a, run_of({"parameters": [100, 100]}, first_seed=5)).verdict == "equal"
    assert only(a, run_of({"parameters": [100, 100, 101]})).verdict == "differ"


def test_another_protocol_is_not_compared_and_its_keys_are_named() -> None:
    found = only(run_of({"rfid": [1.0]}), run_of({"rfid": [1.0]}, protocol={"num_images": 100, "rounding": "round"}))
    assert found.verdict == "not comparable"
    assert found.why == "measured otherwise: num_images 500 in A, 100 in B; rounding None in A, 'round' in B"


def test_a_classifier_that_each_run_trained_bars_nothing_and_is_told() -> None:
    judges = [{"extractor.kind": "classifier", "extractor.sha256": letter} for letter in "ab"]
    runs = [
        run_of({"rfid": [1.0, 1.2, shift]}, protocol=judge) for judge, shift in zip(judges, (0.9, 1.3), strict=True)
    ]
    runs[1].protocols["r"] = runs[1].protocols.pop("q")
    numbers = {key: Number(number.value, protocol_id="r") for key, number in runs[1].numbers.items()}
    found = only(runs[0], Run("run", "digits", numbers, {}, {}, runs[1].protocols, HERE))
    assert found.verdict == "within noise"
    assert found.why.endswith("each run trained the classifier of its protocol (extractor.sha256)")


def test_bits_of_models_differ_or_cannot_be_asked_for() -> None:
    a, b = {"weights": ["aa", "bb"]}, {"weights": ["aa", "cc"]}
    assert only(run_of(a, MODEL), run_of(a, MODEL)).verdict == "equal"
    found = only(run_of(a, MODEL), run_of(b, MODEL))
    assert (found.verdict, found.why) == ("differ", "other bits at seed 1")
    for key, value in {"torch": "2.8.0", "device": "NVIDIA H100", "arithmetic": "native"}.items():
        found = only(run_of(a, MODEL), run_of(b, MODEL, **{key: value}))
        assert found.verdict == "not comparable"
        assert f"{key} {HERE[key][0]} in A, {value} in B" in found.why
    assert only(run_of(a, MODEL), run_of(b, MODEL, first_seed=2)).verdict == "not comparable"


def test_the_processor_counts_under_native_arithmetic_alone() -> None:
    a, b = {"weights": ["aa"]}, {"weights": ["cc"]}
    portable = only(run_of(a, MODEL, processor="Zen"), run_of(b, MODEL, processor="Xeon"))
    native = {"arithmetic": "native"}
    own = only(run_of(a, MODEL, processor="Zen", **native), run_of(b, MODEL, processor="Xeon", **native))
    assert (portable.verdict, own.verdict) == ("differ", "not comparable")


def test_what_one_run_lacks_is_told_and_never_harmless() -> None:
    a, b = run_of({"rfid": [1.0], "psnr": [3.0]}), run_of({"rfid": [1.0], "ssim": [0.5]})
    assert {one.metric: one.verdict for one in compare_runs(a, b)} == {
        "psnr": "only in A",
        "ssim": "only in B",
        "rfid": "equal",
    }
    fewer = only(run_of({"rfid": [1.0, 2.0]}), run_of({"rfid": [1.0]}))
    assert (fewer.verdict, fewer.is_harmless) == ("equal", False)
    assert fewer.why == "seeds 0, 1 in A, seed 0 in B"


def test_runs_that_share_nothing_are_refused() -> None:
    other = run_of({"rfid": [1.0]}, What("reconstruction", "titok-l-32", "stage2"))
    with pytest.raises(ScoreError, match="share nothing that was measured: the first has reconstruction l2, stage1"):
        compare_runs(run_of({"rfid": [1.0]}), other)


def test_most_different_first() -> None:
    a = run_of({"a": [1.0], "b": [1.0], "c": [1.0], "d": [1.0]})
    b = run_of({"a": [1.1], "b": [3.0], "c": [1.0], "d": [1.0 + 1e-9]})
    assert [one.metric for one in compare_runs(a, b)] == ["b", "a", "d", "c"]


def committed(values: dict[str, list], what: What = L2, **environment: str) -> Run:
    run = run_of(values, what, **environment)
    return Run("docs/measurements/digits-numbers.csv", "digits", run.numbers, {}, {}, run.protocols, run.environment)


def test_all_numbers_are_those_of_the_documentation() -> None:
    values = {"rfid": [1.0, 2.0, 3.0]}
    assert documented_lines(run_of(values), committed(values)) == [
        "all 3 numbers are those of the documentation, bit for bit"
    ]


@pytest.mark.parametrize(
    ("values", "ending"),
    [
        ([1.0, 2.0, 3.3], "1 of 3 numbers are not those of the documentation: largest relative difference 0.091, "
         "1 within what other seeds do"),
        ([1.1, 2.0, 30.0], "2 of 3 numbers are not those of the documentation: largest relative difference 0.9, "
         "1 of 2 beyond what other seeds do"),
        ([1.0, 2.1], "2 of 3 numbers are not those of the documentation: 1 are missing, "
         "largest relative difference 0.048, 1 within what other seeds do"),
    ],
)  # fmt: skip
def test_which_numbers_are_not_those_of_the_documentation(values: list[float], ending: str) -> None:
    lines = documented_lines(run_of({"rfid": values}), committed({"rfid": [1.0, 2.0, 3.0]}))
    assert lines[-1] == ending
    assert "numbers may differ" not in "\n".join(lines)


def test_a_part_of_a_study_has_the_numbers_of_the_documentation() -> None:
    """As one seed of three, or one target."""
    assert documented_lines(run_of({"rfid": [1.0, 2.0]}), committed({"rfid": [1.0, 2.0, 3.0]})) == [
        "  rfid of reconstruction l2, stage1, seed 2: missing",
        "all 2 numbers that were made are those of the documentation, bit for bit; 1 of its 3 were not made",
    ]


def test_why_numbers_may_differ_is_told() -> None:
    lines = documented_lines(
        run_of({"rfid": [1.5]}, arithmetic="native", architecture="aarch64"), committed({"rfid": [1.0]})
    )
    assert (
        "numbers may differ: arithmetic is native in run; run was made on aarch64, not on x86-64 with AVX2" in lines[1]
    )
    assert lines[-1].endswith("largest relative difference 0.33, 1 without the seeds to tell")


def test_a_sum_has_no_size_of_its_difference() -> None:
    lines = documented_lines(run_of({"weights": ["aa"]}, MODEL), committed({"weights": ["bb"]}, MODEL))
    assert lines[0] == "  weights of tokenizer l2, stage1, seed 0: aa instead of bb"
    assert lines[-1].endswith(": 1 of weights, samples or tokens have other bits")


def said(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    main([*map(str, words)])
    return capsys.readouterr().out


def test_the_verbs_from_folder_to_file_and_back(tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv = tmp_path / "docs" / "digits-numbers.csv"
    assert re.search(r"digits-numbers\.csv: \d+ numbers of", said(capsys, "numbers", tree.root, "--output", csv))
    out = said(capsys, "compare", tree.root, csv, "--strict")
    assert re.search(r"\nall \d+ numbers are those of the documentation, bit for bit\n$", out)
    tree.edit("reconstruction/l2/stage1/seed0", "rfid", 99.0)
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(tree.root), str(csv), "--strict"])
    assert ended.value.code == 1
    last = said(capsys, "compare", tree.root, csv).splitlines()[-1]
    assert re.match(r"1 of \d+ numbers are not those of the documentation: largest relative difference 0\.\d", last)


def test_the_page_needs_nothing_else_and_the_table_has_every_row(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_tree(tmp_path / "other")
    other.edit("reconstruction/s4/stage1/seed1", "psnr", 3.25)
    (other.root / "scores/probe/b8/seed0.json").unlink()
    (other.root / "scores/probe/b8/seed1.json").unlink()
    page, csv = tmp_path / "page.html", tmp_path / "table.csv"
    out = said(capsys, "compare", tree.root, other.root, "--output", page, "--csv", csv)
    assert "only in A:\n  linear probe top-1 of linear probe b8, encoder" in out
    assert "A has no sums" in out
    table = pd.read_csv(csv)
    row = table[(table["metric"] == "psnr") & (table["name"] == "s4")].iloc[0]
    assert (row["verdict"], row["b_mean"]) == ("differ", (16.0 + 3.25) / 2)
    html = page.read_text()
    assert not re.search(r'(?:src|href)="(?!data:|#)', html), "nothing is fetched"
    assert html.count("<tr>") == len(table) + table["verdict"].nunique()
    assert html.count("data:image/svg+xml;base64,") == 2
    said(capsys, "compare", tree.root, other.root, "--output", tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == html


@pytest.mark.parametrize("text", [None, "a,b\n"])
def test_mistakes_end_with_a_sentence(tree: Tree, tmp_path: Path, text: str | None) -> None:
    other = tmp_path / "other.csv"
    if text is not None:
        other.write_text(text)
    with pytest.raises(SystemExit, match=r"titok: (FileError|ScoreError): .*other\.csv (does not exist|is no file of)"):
        main(["compare", str(tree.root), str(other)])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SystemExit, match=r"titok: ScoreError: .*empty has no scores"):
        main(["compare", str(empty), str(tree.root)])


def test_arithmetic_is_read_from_records(tree: Tree) -> None:
    from titok.reporting.numbers import read_folder

    for path in tree.scores:
        record = json.loads(path.read_text())
        record["provenance"]["arithmetic"] = "portable"
        path.write_text(json.dumps(record))
    assert read_folder(tree.root).environment["arithmetic"] == ["portable"]
