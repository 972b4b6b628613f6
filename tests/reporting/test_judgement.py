"""The one judgement: its words on numbers worked out by hand, and how often it is wrong, by simulation.

Run: pytest tests/reporting/test_judgement.py
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from titok.reporting.estimates import combine
from titok.reporting.judgement import Judgement, Statement, all_of, any_of, judge, shown, truth
from titok.reporting.trends import falls


def seeds(*values: float, first: int = 0) -> dict[int, float]:
    return dict(enumerate(values, first))


def below(one: dict[int, float], other: dict[int, float]) -> Judgement:
    return judge(Statement(combine([one, other], [1.0, -1.0])))


def test_shared_seeds_are_paired():
    """Differences -1, -2, -3: mean -2, error 1 / sqrt 3, t of two degrees of freedom 4.3027."""
    found = below(seeds(10, 20, 30), seeds(11, 22, 33))
    assert (found.value, found.seeds) == (-2.0, 3)
    assert found.low == pytest.approx(-2 - 4.302653 / 3**0.5)
    assert found.high == pytest.approx(-2 + 4.302653 / 3**0.5)
    assert (found.word, found.because.split(";")[0]) == ("undecided", "3 seeds do not tell")
    assert below(seeds(10, 20, 30), seeds(12, 22, 32.1)).word == "agrees"
    assert below(seeds(12, 22, 32.1), seeds(10, 20, 30)).word == "differs"


def test_other_seeds_are_compared_after_welch():
    one, other = [3.1, 2.9, 3.4, 3.2], [2.0, 2.4, 1.7]
    found = combine([seeds(*one), seeds(*other, first=10)], [1.0, -1.0])
    expected = stats.ttest_ind(one, other, equal_var=False)
    assert found.value / found.error == pytest.approx(expected.statistic)
    assert found.freedom == pytest.approx(expected.df)
    interval = expected.confidence_interval(0.95)
    assert found.value - found.half_width() == pytest.approx(interval.low)
    assert found.repeats == 3


@pytest.mark.parametrize(
    ("one", "other", "because"),
    [
        (seeds(1), seeds(9), "1 seed; at least 3 are needed"),
        (seeds(1, 1), seeds(9, 9), "2 seeds; at least 3 are needed"),
        (seeds(1, 1, 1), seeds(9, 9, first=7), "2 seeds; at least 3 are needed"),
        (seeds(1, 1, math.nan), seeds(9, 9, 9), "a number is not finite"),
        (seeds(1, 1, 1), seeds(9, 9, math.inf), "a number is not finite"),
        ({}, seeds(1, 2, 3), "0 seeds; at least 3 are needed"),
        (seeds(0.1 + 0.2, 0.7, 0.9), seeds(0.3, 0.7, 0.9), "3 seeds show no difference"),
        (seeds(0, 0, 0), seeds(0, 0, 0), "3 seeds show no difference"),
    ],
)
def test_nothing_is_decided_by_too_little(one, other, because):
    for found in (below(one, other), below(other, one)):
        assert (found.word, found.because) == ("undecided", because)


def test_how_many_seeds_would_decide():
    """Mean -1, spread 2: five seeds would need t s / sqrt n < 1, which is true from n = 18 on."""
    differences = np.array([-1.0, 1.0, -1.0, -3.0, -1.0])
    differences = -1 + (differences + 1) * 2 / (differences + 1).std(ddof=1)
    found = below(seeds(*differences), seeds(0, 0, 0, 0, 0))
    assert stats.t.ppf(0.975, 17) * 2 / 18**0.5 < 1 < stats.t.ppf(0.975, 16) * 2 / 17**0.5
    assert found.because == "5 seeds do not tell; about 18 would, if mean and spread stay"


def test_equal_differences_decide_beyond_rounding():
    assert below(seeds(1, 2, 3), seeds(2, 3, 4)).word == "agrees"
    assert below(seeds(1, 2, 3), seeds(1 + 1e-12, 2 + 1e-12, 3 + 1e-12)).word == "undecided"


def test_a_rise_beyond_doubt_contradicts_a_fall_on_the_whole():
    """The curve of a check that once failed under a headline that said 'falls': 8.32, then 8.44."""
    wobble = np.array([0.0, 0.01, -0.01, 0.02, -0.02])
    curve = {k: seeds(*(mean + wobble * (1 + k))) for k, mean in {1: 60.95, 2: 20.17, 4: 8.32, 8: 9.44}.items()}
    found = falls("TiTok-S", curve, 1)
    assert (found.word, found.because) == ("differs", "TiTok-S rises from K = 4 to 8")
    noisy = {**curve, 8: seeds(8.44, 7.9, 9.1, 8.2, 8.6)}
    assert falls("TiTok-S", noisy, 1).word == "agrees"
    # Rates are shown as factors: 2 ** slope of log2 over log2 K.
    halved = {k: seeds(*(8 / k + wobble)) for k in (1, 2, 4)}
    assert falls("TiTok-S", halved, 1).value == pytest.approx(0.5, abs=0.005)


def test_of_a_family_one_alone_needs_the_stronger_evidence():
    """t = -3.5 of four degrees of freedom contradicts by itself (limit 2.78), not as one of three (3.96)."""
    differences = np.array([-1, -0.5, 0, 0.5, 1.0])
    differences = differences / differences.std(ddof=1) * 5**0.5 + 3.5
    statement = Statement(combine([seeds(*differences)], [1.0]))
    assert judge(statement).word == "differs"
    assert judge(statement, family=3).word == "undecided"
    # What holds must hold for all, so that each needs no more than by itself.
    opposite = Statement(combine([seeds(*-differences)], [1.0]))
    assert judge(opposite, family=3).word == "agrees"


HOLDS, NOT, OPEN = truth(True), truth(False), Judgement("undecided")


def test_words_of_many():
    assert [all_of(parts).word for parts in ([HOLDS, HOLDS], [HOLDS, OPEN], [OPEN, NOT])] == [
        "agrees",
        "undecided",
        "differs",
    ]
    assert [any_of(parts).word for parts in ([NOT, HOLDS], [NOT, OPEN], [NOT, NOT])] == [
        "agrees",
        "undecided",
        "differs",
    ]
    with pytest.raises(ValueError, match="no parts"):
        all_of([])


def test_numbers_as_people_read_them():
    assert shown(Judgement("agrees", -1.234, -2.0, -0.5, 5, unit="dB")) == "-1.23 [-2, -0.5] dB"
    assert shown(HOLDS) == ""


REPETITIONS = 2000


def words(draw, judged) -> dict[str, float]:
    """How often each word is said."""
    counts = {"agrees": 0, "differs": 0, "undecided": 0}
    for _ in range(REPETITIONS):
        counts[judged(draw()).word] += 1
    return {word: count / REPETITIONS for word, count in counts.items()}


def at_most(rate: float) -> float:
    """A rate measured so often may be this large by chance, in one case of a thousand."""
    return float(stats.binom.ppf(0.999, REPETITIONS, rate)) / REPETITIONS


@pytest.mark.parametrize("count", [3, 5, 10])
@pytest.mark.parametrize("paired", [True, False])
def test_no_difference_is_rarely_said_to_be_one(count, paired):
    """`holds` 2.5 % of the time, `contradicted` 2.5 %: together the 5 % of the interval."""
    random = np.random.default_rng(count)

    def draw():
        own = random.normal(size=count) * (3 if paired else 0)
        return [seeds(*(own + random.normal(size=count)), first=0 if paired or not group else 50) for group in (0, 1)]

    found = words(draw, lambda groups: below(*groups))
    assert found["agrees"] <= at_most(0.025)
    assert found["differs"] <= at_most(0.025)
    assert found["agrees"] + found["differs"] > (0.03 if paired else 0.015)  # not vacuous, and not far too careful


@pytest.mark.parametrize("sizes", [1, 3])
def test_a_flat_curve_is_rarely_said_to_fall(sizes):
    random = np.random.default_rng(7)

    def draw():
        return [{k: seeds(*np.exp(0.1 * random.normal(size=5) + 2)) for k in (1, 2, 4, 8)} for _ in range(sizes)]

    found = words(draw, lambda curves: all_of([falls("TiTok-S", curve, sizes) for curve in curves]))
    assert found["agrees"] <= at_most(0.025**sizes)
    assert found["differs"] <= at_most(0.025)


@pytest.mark.parametrize(
    ("count", "effect", "power"), [(3, 2.0, 0.48), (5, 2.0, 0.91), (5, 1.0, 0.40), (10, 1.0, 0.80)]
)
def test_true_differences_are_found(count, effect, power):
    """Power of Student's paired t test at 2.5 %; the effect in standard deviations of the differences."""
    limit, shift = stats.t.ppf(0.975, count - 1), effect * count**0.5
    assert stats.nct.sf(limit, count - 1, shift) == pytest.approx(power, abs=0.015)
    random = np.random.default_rng(count)
    found = words(
        lambda: seeds(*random.normal(-effect, size=count)), lambda group: judge(Statement(combine([group], [1.0])))
    )
    assert found["agrees"] == pytest.approx(power, abs=0.04)
    assert found["differs"] == 0
