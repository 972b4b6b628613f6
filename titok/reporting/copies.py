"""Copies of one run under several seeds: one repetition, however often it was written down.

A training that ignores its seed, or a folder that was copied to make three of one, gives the same bits again. Counted
as repetitions they would show no spread, and everything would be certain. Records tell: they hold the sums of what the
seed made, a tokenizer's weights or a generator's samples. Released weights are the same for all seeds by intent.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple

SHOWN = 4


class Copy(NamedTuple):
    """A record that says again what another one says."""

    file: str
    of: str
    """The record that counts: that of the lowest seed."""
    made: str
    """What has the same bits: `weights` or `samples`."""


def made_by_seed(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """(`weights` or `samples`, their sum) of what a record's seed made; None where it does not say, or made nothing."""
    inputs = (record.get("provenance") or {}).get("inputs") or {}
    is_given = record["subject"].get("recipe") == "released"
    for role, what in (("samples", "samples"), ("model", "weights")):
        digest = (inputs.get(role) or {}).get("sha256")
        if digest and not (role == "model" and is_given):
            return what, str(digest)
    return None


class Copies:
    """Notes what each record's seed made, and finds what was made before, of the same thing."""

    def __init__(self) -> None:
        self._made: dict[Hashable, list[tuple[int, str, str]]] = {}

    def note(self, thing: Hashable, file: str, record: Mapping[str, Any]) -> None:
        """``thing``: what the record is of, the seed apart."""
        made = made_by_seed(record)
        if made is not None:
            seed = int(record["subject"].get("seed") or 0)
            self._made.setdefault((thing, made), []).append((seed, file, made[0]))

    def found(self) -> list[Copy]:
        """Every record but that of the lowest seed, where several are of the same bits."""
        return [
            Copy(file, sorted(same)[0][1], made) for same in self._made.values() for _, file, made in sorted(same)[1:]
        ]


def copies_said(copies: Iterable[Copy]) -> str:
    """A sentence for people; nothing where there are none."""
    listed = list(copies)
    if not listed:
        return ""
    shown = "; ".join(f"{one.file} has the {one.made} of {one.of}" for one in listed[:SHOWN])
    more = f"; and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return f"Copies of one run count as one repetition: {shown}{more}."
