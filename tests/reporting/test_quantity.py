"""Expressions of claims: arithmetic with intervals, and nothing that could do harm."""

from __future__ import annotations

import math

import pytest

from titok.errors import ScoreError
from titok.reporting.judgement import Judgement, truth
from titok.reporting.quantity import Quantity, evaluate

MEASURED = {
    "a": lambda: Quantity(2.0, 1.0, 3.0),
    "b": lambda: Quantity(6.0, 4.0, 8.0),
    "zero": lambda: Quantity(1.0, -2.0, 4.0),
    "nan": lambda: Quantity.exactly(math.nan),
    "s": lambda: Quantity(2.5, 2.5, 2.5, {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}),
    "t": lambda: Quantity(7.5, 7.5, 7.5, {0: 6.1, 1: 6.9, 2: 8.1, 3: 8.9}),
    "few": lambda: Quantity(7.5, 7.5, 7.5, {0: 7.0, 9: 8.0}),
    "named": lambda: truth(True),
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2 * 3 ** 2", (19.0, 19.0, 19.0)),
        ("a() + b()", (8.0, 5.0, 11.0)),
        ("a() - b()", (-4.0, -7.0, -1.0)),
        ("a() * b()", (12.0, 4.0, 24.0)),
        ("b() / a()", (3.0, 4 / 3, 8.0)),
        ("-a()", (-2.0, -3.0, -1.0)),
        ("max(a(), b())", (6.0, 4.0, 8.0)),
        ("min(a(), b(), 1.5)", (1.5, 1.0, 1.5)),
    ],
)
def test_arithmetic_carries_intervals(expression: str, expected: tuple[float, float, float]) -> None:
    found = evaluate(expression, MEASURED)
    assert isinstance(found, Quantity)
    assert (found.value, found.low, found.high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a() < b()", "agrees"),
        ("b() < a()", "differs"),
        ("a() < 2.5", "undecided"),
        ("0.5 < a() <= 3.5", "agrees"),
        ("a() == 2", "undecided"),
        ("2 == 2 and b() >= 9", "differs"),
        ("2 == 2 or b() >= 9", "agrees"),
        # Floats know rounding: 0.1 + 0.2 is 0.30000000000000004.
        ("0.1 + 0.2 <= 0.3", "agrees"),
        ("0.1 + 0.2 == 0.3", "agrees"),
        ("0.1 + 0.2 > 0.3", "differs"),
        # s is 1, 2, 3, 4 in four seeds; t is 5 more than that, give or take a tenth.
        ("s() < t()", "agrees"),
        ("t() < s()", "differs"),
        ("s() < 9", "agrees"),
        ("9 > s()", "agrees"),
        ("9 < s()", "differs"),
        ("s() < 2.6", "undecided"),
        ("s() == s()", "undecided"),
        ("t() - s() > max(s() / 2, 2)", "agrees"),
        ("s() < few()", "undecided"),
        ("named()", "agrees"),
    ],
)
def test_statements_are_judged(expression: str, expected: str) -> None:
    found = evaluate(expression, MEASURED)
    assert isinstance(found, Judgement)
    assert found.word == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("2 / zero()", (2.0, -math.inf, math.inf)),
        ("zero() ** 2", (1.0, 0.0, 16.0)),
        ("zero() ** 3", (1.0, -8.0, 64.0)),
        ("zero() ** 0.5", (1.0, -math.inf, math.inf)),
        ("1 / 0", (math.nan, -math.inf, math.inf)),
        ("(1 - 2) ** 0.5", (math.nan, math.nan, math.nan)),
        ("max(nan(), 1)", (math.nan, math.nan, math.nan)),
        ("max(1, nan())", (math.nan, math.nan, math.nan)),
    ],
)
def test_intervals_contain_every_result(expression: str, expected: tuple[float, float, float]) -> None:
    found = evaluate(expression, MEASURED)
    assert isinstance(found, Quantity)
    assert (found.value, found.low, found.high) == pytest.approx(expected, nan_ok=True)


def test_nan_decides_nothing_in_any_order() -> None:
    for expression in ("max(nan(), -0.9) <= -0.8", "max(-0.9, nan()) <= -0.8", "1 / 0 < 2", "nan() == nan()"):
        found = evaluate(expression, MEASURED)
        assert (found.word, found.because, found.value) == ("undecided", "a number is not finite", None)


def test_arithmetic_goes_seed_by_seed() -> None:
    found = evaluate("t() - 2 * s()", MEASURED)
    assert found.seeds == pytest.approx({0: 4.1, 1: 2.9, 2: 2.1, 3: 0.9})
    assert evaluate("s() - few()", MEASURED).seeds == {0: -6.0}
    assert evaluate("1 / (s() - 1)", MEASURED).seeds == pytest.approx(
        {0: math.nan, 1: 1.0, 2: 0.5, 3: 1 / 3}, nan_ok=True
    )


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os')",
        "a.__class__",
        "[1, 2]",
        "a() if 1 else 2",
        "lambda: 1",
        "a() != 1",
        "a(x=1)",
        "1 +",
        "'x' + 1",
        "1 and 2 < 3",
    ],
)
def test_anything_else_is_refused(expression: str) -> None:
    with pytest.raises(ScoreError):
        evaluate(expression, MEASURED)


def test_every_part_is_looked_at() -> None:
    """A score that is missing must be found even where the first half of the statement decides it."""

    def missing() -> Quantity:
        raise LookupError("no such score")

    with pytest.raises(LookupError, match="no such score"):
        evaluate("1 > 2 and missing() > 1", {"missing": missing})
