"""Numbers with intervals, and the small language in which claims speak of them.

Intervals go through arithmetic by their ends: the result's contains every number that numbers inside can give.
"""

from __future__ import annotations

import ast
import itertools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


class ExpressionError(Exception):
    """An expression that is no expression of claims."""


@dataclass(frozen=True)
class Quantity:
    """A number, and where a repetition of its measurement would lie; a certain one is its own interval."""

    value: float
    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Quantity:
        """A number that repetition does not change."""
        return cls(float(value), float(value), float(value))

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
_COMPARE: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
}


def evaluate(expression: str, functions: Mapping[str, Function]) -> Quantity | bool:
    """What ``expression`` says: numbers, + - * / **, comparisons, `and`, `or`, and calls of ``functions``.

    `max` and `min` are there, too. Arguments of functions may be texts. Comparisons look at values, not at intervals.

    Raises:
        ExpressionError: there is anything else in it; names what and where.
        Whatever the functions raise.
    """
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError as error:
        raise ExpressionError(f"{expression!r} is no expression: {error.msg} at column {error.offset}") from None
    known = {"max": _extreme(max), "min": _extreme(min), **functions}
    return _Evaluation(expression, known).of(tree.body)


def _extreme(choose: Callable[..., float]) -> Function:
    """`max` or `min` of quantities."""

    def chosen(*quantities: Quantity) -> Quantity:
        return Quantity(*(choose(getattr(each, part) for each in quantities) for part in ("value", "low", "high")))

    return chosen


@dataclass(frozen=True)
class _Evaluation:
    """Walks the tree of one expression."""

    text: str
    functions: Mapping[str, Function]

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
            parts = [bool(self.of(value)) for value in node.values]
            return all(parts) if isinstance(node.op, ast.And) else any(parts)
        if isinstance(node, ast.Compare) and all(type(op) in _COMPARE for op in node.ops):
            sides = [self._quantity(side).value for side in (node.left, *node.comparators)]
            pairs = zip(node.ops, itertools.pairwise(sides), strict=True)
            return all(_COMPARE[type(op)](left, right) for op, (left, right) in pairs)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return self._call(node.func.id, [self.of(argument) for argument in node.args])
        raise ExpressionError(
            f"{ast.unparse(node)!r} in {self.text!r} is not allowed; allowed are numbers, + - * / **, < <= > >= ==, "
            f"and, or, and calls of {', '.join(sorted(self.functions))}"
        )

    def _quantity(self, node: ast.expr) -> Quantity:
        value = self.of(node)
        if not isinstance(value, Quantity):
            raise ExpressionError(f"{ast.unparse(node)!r} in {self.text!r} is no number")
        return value

    def _call(self, name: str, arguments: list[Any]) -> Any:
        if name not in self.functions:
            known = ", ".join(sorted(self.functions))
            raise ExpressionError(f"{name!r} in {self.text!r} is no known function; known: {known}")
        return self.functions[name](*arguments)


def _combine(function: Callable[[float, float], float], left: Quantity, right: Quantity) -> Quantity:
    value = function(left.value, right.value)
    ends = [function(a, b) for a in (left.low, left.high) for b in (right.low, right.high)]
    return Quantity(value, min(ends), max(ends))
