"""Errors that are written for people: the message says what was found, what is allowed and what to do.

`titok` prints such an error as one sentence; anything else is a bug and keeps its traceback. A class of its own, below
or beside what raises it, is for errors that somebody catches; all others are one of these.
"""

from __future__ import annotations

from collections.abc import Sequence


class TitokError(Exception):
    """The base of every error of this package."""


class OptionError(TitokError):
    """What a command line asks for does not go together, or something it needs was not given."""


class MachineError(TitokError):
    """This machine has not what a job needs, or its processes cannot work together."""


class DataError(TitokError):
    """Images, or archives of them, are missing, damaged or not what they should be."""


class TokenError(TitokError, ValueError):
    """Tokens that cannot be stored, or a file that holds no tokens."""


class ModelError(TitokError):
    """A model was asked for what it cannot do."""


class ScoreError(TitokError):
    """Numbers that cannot be computed, read, compared or shown, or that would mislead."""


def some_of(names: Sequence[object], most: int, between: str = ", ") -> str:
    """``a, b, c and 4 more``: the first ``most`` of what a message is about, and how many it leaves out."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return between.join(map(str, names[:most])) + more
