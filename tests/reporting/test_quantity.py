"""Expressions of claims: arithmetic with intervals, and nothing that could do harm."""

from __future__ import annotations

import pytest

from titok.reporting.quantity import ExpressionError, Quantity, evaluate

MEASURED = {
    "a": lambda: Quantity(2.0, 1.0, 3.0),
    "b": lambda: Quantity(4.0, 4.0, 8.0),
    "named": lambda text: text == "x",
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2 * 3 ** 2", (19.0, 19.0, 19.0)),
        ("a() + b()", (6.0, 5.0, 11.0)),
        ("a() - b()", (-2.0, -7.0, -1.0)),
        ("a() * b()", (8.0, 4.0, 24.0)),
        ("b() / a()", (2.0, 4 / 3, 8.0)),
        ("-a()", (-2.0, -3.0, -1.0)),
        ("max(a(), b())", (4.0, 4.0, 8.0)),
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
        ("a() < b()", True),
        ("b() < a()", False),
        ("1 < a() <= 2", True),
        ("a() == 2 and b() >= 5", False),
        ("a() == 2 or b() >= 5", True),
        ("named('x')", True),
    ],
)
def test_statements_look_at_values(expression: str, expected: bool) -> None:
    assert evaluate(expression, MEASURED) is expected


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
    ],
)
def test_anything_else_is_refused(expression: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(expression, MEASURED)


def test_every_part_is_looked_at() -> None:
    """A score that is missing must be found even where the first half of the statement decides it."""

    def missing() -> Quantity:
        raise LookupError("no such score")

    with pytest.raises(LookupError, match="no such score"):
        evaluate("1 > 2 and missing() > 1", {"missing": missing})
