"""Numbers with intervals, and the small language in which claims speak of them.

Intervals (95 %) go through arithmetic by their ends: the result's contains every number that numbers inside can give.
What a seed gave goes along seed by seed, and comparisons are judged by it (``titok.reporting.judgement``). A
division by zero gives no number (NaN), which decides nothing.
"""

from __future__ import annotations

import ast
import functools
import itertools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from titok.errors import ScoreError
from titok.reporting.estimates import COVERAGE, ROUNDING, Basis, Estimate, Seeds, combine, each
from titok.reporting.judgement import Judgement, Statement, all_of, any_of, judge, truth


@dataclass(frozen=True)
class Quantity:
    """A number, and where a repetition of its measurement would lie; a certain one is its own interval.

    ``seeds``: what each seed gave; null for numbers that no seed changes. ``basis``: what gave the interval, where
    that is not seeds.
    """

    value: float
    low: float
    high: float
    seeds: Seeds | None = None
    basis: Basis = "images"

    @classmethod
    def exactly(cls, value: float) -> Quantity:
        """A number that repetition does not change."""
        return cls(float(value), float(value), float(value))

    @classmethod
    def of(cls, known: Seeds | Estimate) -> Quantity:
        """Of what is known of one number; what seeds gave has no interval of its own."""
        found = combine([known], [1.0])
        if not isinstance(known, Estimate):
            return cls(found.value, found.value, found.value, known)
        half = found.half_width()
        return cls(found.value, found.value - half, found.value + half, basis=found.basis)

    @property
    def estimate(self) -> Estimate:
        """What a judgement needs."""
        if self.seeds is not None:
            return combine([self.seeds], [1.0])
        if self.is_exact or math.isnan(self.value):
            return Estimate.exactly(self.value)
        half = max(self.value - self.low, self.high - self.value)
        return Estimate.measured(self.value, self.value - half, self.value + half, COVERAGE, self.basis)

    @property
    def is_exact(self) -> bool:
        """Whether there is no interval."""
        return self.low == self.high


Function = Callable[..., Any]
_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARE: dict[type[ast.cmpop], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "=="}


def evaluate(expression: str, functions: Mapping[str, Function]) -> Quantity | Judgement:
    """What ``expression`` says: numbers, + - * / **, comparisons, `and`, `or`, and calls of ``functions``.

    `max`, `min` and `near(one, other, tolerance)` are there, too. Arguments of functions may be texts. Comparisons of
    numbers that repetition changes are judged by the interval of the difference; of exact ones, as exactly as floating
    point goes.

    Raises:
        ScoreError: there is anything else in it; names what and where.
        Whatever the functions raise.
    """
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError as error:
        raise ScoreError(f"{expression!r} is no expression: {error.msg} at column {error.offset}") from None
    known = {"max": lambda *of: largest(of), "min": lambda *of: smallest(of), **functions}
    return _Evaluation(expression, known).of(tree.body)


def largest(quantities: Sequence[Quantity]) -> Quantity:
    """The largest one, of every seed its own; no number where one of them is none."""
    return functools.reduce(lambda one, other: _combine(_or_nan(max), one, other), quantities)


def smallest(quantities: Sequence[Quantity]) -> Quantity:
    """The smallest one, of every seed its own."""
    return functools.reduce(lambda one, other: _combine(_or_nan(min), one, other), quantities)


def difference(left: Quantity, right: Quantity) -> Quantity:
    """``left - right``."""
    return _combine(operator.sub, left, right)


def ratio(left: Quantity, right: Quantity) -> Quantity:
    """``left / right``; no number where that is 0."""
    return _combine(operator.truediv, left, right)


def geometric_mean(quantities: Sequence[Quantity]) -> Quantity:
    """The root of the product; no number where that is negative."""
    product = functools.reduce(lambda one, other: _combine(operator.mul, one, other), quantities)
    return _combine(operator.pow, product, Quantity.exactly(1 / len(quantities)))


def _or_nan(choose: Callable[[float, float], float]) -> Callable[[float, float], float]:
    """`max` and `min` of Python depend on the order if there is a NaN."""
    return lambda one, other: math.nan if math.isnan(one) or math.isnan(other) else choose(one, other)


@dataclass(frozen=True)
class _Evaluation:
    """Walks the tree of one expression."""

    text: str
    functions: Mapping[str, Function]
    family: int = 1
    """How many comparisons are made together, of which one that differs contradicts them all."""

    def of(self, node: ast.expr) -> Any:
        """The value of a node: a quantity, a truth or a text."""
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str):
            return node.value if isinstance(node.value, str) else Quantity.exactly(node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return _combine(operator.sub, Quantity.exactly(0), self._quantity(node.operand))
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            return _combine(_BINARY[type(node.op)], self._quantity(node.left), self._quantity(node.right))
        if isinstance(node, ast.BoolOp):
            # Every part is looked at, so that a missing score is found whatever the others say.
            among = replace(self, family=self.family * len(node.values))
            parts = [among._judgement(value) for value in node.values]
            return all_of(parts) if isinstance(node.op, ast.And) else any_of(parts)
        if isinstance(node, ast.Compare) and all(type(op) in _COMPARE for op in node.ops):
            sides = [self._quantity(side) for side in (node.left, *node.comparators)]
            pairs = zip(node.ops, itertools.pairwise(sides), strict=True)
            family = self.family * len(node.ops)
            return all_of([compared(left, _COMPARE[type(op)], right, family) for op, (left, right) in pairs])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return self._call(node.func.id, [self.of(argument) for argument in node.args])
        raise ScoreError(
            f"{ast.unparse(node)!r} in {self.text!r} is not allowed; allowed are numbers, + - * / **, < <= > >= ==, "
            f"and, or, and calls of {', '.join(sorted(self.functions))}"
        )

    def _quantity(self, node: ast.expr) -> Quantity:
        value = self.of(node)
        if not isinstance(value, Quantity):
            raise ScoreError(f"{ast.unparse(node)!r} in {self.text!r} is no number")
        return value

    def _judgement(self, node: ast.expr) -> Judgement:
        value = self.of(node)
        if not isinstance(value, Judgement):
            raise ScoreError(f"{ast.unparse(node)!r} in {self.text!r} is no statement")
        return value

    def _call(self, name: str, arguments: list[Any]) -> Any:
        if name == "near" and len(arguments) == 3:
            return alike(arguments[0], arguments[1], arguments[2], self.family)
        if name not in self.functions:
            known = ", ".join(sorted(self.functions))
            raise ScoreError(f"{name!r} in {self.text!r} is no known function; known: {known}")
        return self.functions[name](*arguments)


def alike(one: Quantity, other: Quantity, tolerance: Quantity, family: int = 1) -> Judgement:
    """Whether two numbers are the same, give or take the tolerance."""
    return judge(Statement.near(_apart(one, other), 0.0, tolerance.value), family=family)


def _apart(left: Quantity, right: Quantity) -> Estimate:
    """What is known of ``left - right``."""
    if left.seeds is None and right.seeds is None:
        return difference(left, right).estimate
    sides = [side.estimate if side.seeds is None else side.seeds for side in (left, right)]
    return combine(sides, [1.0, -1.0])


def compared(left: Quantity, sign: str, right: Quantity, family: int = 1) -> Judgement:
    """The judgement of ``left sign right``; `==` only of exact numbers, for no interval can show equality."""
    if left.seeds is None and right.seeds is None and left.is_exact and right.is_exact:
        return _compared_exactly(left, sign, right)
    if sign == "==" and not (math.isnan(left.value) or math.isnan(right.value)):
        return Judgement("undecided", because="no repetition can show that two numbers are equal")
    estimate = _apart(left, right)
    return judge(Statement(estimate) if "<" in sign else Statement(estimate, 0.0, math.inf), family=family)


def _compared_exactly(left: Quantity, sign: str, right: Quantity) -> Judgement:
    one, other = left.value, right.value
    if math.isnan(one) or math.isnan(other):
        return Judgement("undecided", because="a number is not finite")
    equal = math.isclose(one, other, rel_tol=ROUNDING)
    return truth(equal if sign == "==" else ("=" in sign and equal) or (not equal and (one < other) == ("<" in sign)))


def _combine(function: Callable[[float, float], float], left: Quantity, right: Quantity) -> Quantity:
    value = _applied(function, left.value, right.value)
    low, high = _ends(function, left, right)
    basis = right.basis if left.is_exact else left.basis
    return Quantity(value, low, high, _by_seed(function, left, right), basis)


def _by_seed(function: Callable[[float, float], float], left: Quantity, right: Quantity) -> Seeds | None:
    """Of every seed that both have; exact numbers are the same for all, and those with intervals belong to none."""
    if left.seeds is None and right.seeds is None:
        return None
    if any(side.seeds is None and not side.is_exact for side in (left, right)):
        return {}
    if left.seeds is None:
        return each(lambda other: _applied(function, left.value, other), right.seeds or {})
    if right.seeds is None:
        return each(lambda one: _applied(function, one, right.value), left.seeds)
    return each(functools.partial(_applied, function), left.seeds, right.seeds)


def _applied(function: Callable[[float, float], float], one: float, other: float) -> float:
    """The result; NaN where there is none, such as of 1 / 0."""
    try:
        found = function(one, other)
    except (ZeroDivisionError, OverflowError):
        return math.nan
    return found if isinstance(found, float | int) else math.nan  # roots of negative numbers are complex


def _ends(function: Callable[[float, float], float], left: Quantity, right: Quantity) -> tuple[float, float]:
    """The interval of every result; unbounded where a divisor may be 0, or where a power turns within the interval."""
    ends = [_applied(function, a, b) for a in {left.low, left.high} for b in {right.low, right.high}]
    if function is operator.truediv and right.low <= 0 <= right.high:
        return -math.inf, math.inf
    if function is operator.pow and left.low < 0 < left.high:
        if not right.is_exact or right.value < 0 or right.value != int(right.value):
            return -math.inf, math.inf
        ends.append(0.0)
    return (math.nan, math.nan) if any(map(math.isnan, ends)) else (min(ends), max(ends))
