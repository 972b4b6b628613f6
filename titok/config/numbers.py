"""Numbers as people mean them: YAML 1.1 reads 12:00:00 as 43200, 010 as 8 and yes as 1, which nobody wants here."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args, get_origin

PLAIN = re.compile(r"[-+]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_ODD = re.compile(r"[-+]?[.\d][\w.:+-]*")
HINT = "write decimal numbers such as 12 or 0.5"


def wants_number(annotation: Any) -> bool:
    """Whether a field holds numbers (or a list of them) and nothing that words would do for, too."""
    if get_origin(annotation) is Annotated:
        return wants_number(get_args(annotation)[0])
    if parts := [part for part in get_args(annotation) if part not in (type(None), Ellipsis)]:
        return all(wants_number(part) for part in parts)
    return annotation in (int, float)


def may_be(annotation: Any, kinds: tuple[type, ...]) -> bool:
    """Whether a field can hold a value, or a list of them, of one of these types."""
    if annotation in (*kinds, Any):
        return True
    inside = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    return get_origin(annotation) is not Literal and any(may_be(part, kinds) for part in inside)


def true_number(value: Any) -> str | None:
    """What is wrong with a value where a number may stand and yes may not; None if nothing is."""
    if isinstance(value, list | tuple):
        return next((reason for each in value if (reason := true_number(each))), None)
    return f"{'yes (true)' if value else 'no (false)'}, which is no number; {HINT}" if isinstance(value, bool) else None


def odd_number(value: Any) -> str | None:
    """What is wrong with a value for a number, if YAML gives it another meaning than its look; None if nothing is.

    Other words are left to the types, which say what they expect.
    """
    if isinstance(value, list | tuple):
        return next((reason for each in value if (reason := odd_number(each))), None)
    if reason := true_number(value):
        return reason
    if isinstance(value, str) and _ODD.fullmatch(value) and not PLAIN.fullmatch(value):
        return f"{value}, which people and programs read as different numbers; {HINT}"
    return None
