"""Encoders that a study calls by their names in ``config/encoders.yaml``: their records take the names' places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

ENCODERS_FILE = Path("config/encoders.yaml")


def named_encoders(document: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """(where it is written, name) of every encoder that is named, in the sections of a study's document."""
    if not isinstance(document, dict):
        return
    if _names_one(document):
        yield f"{place}encoder", document["encoder"]
    for key, value in document.items():
        yield from named_encoders(value, f"{place}{key}.")


def with_records(document: dict[str, Any], records: Mapping[str, Any]) -> dict[str, Any]:
    """The document with every named encoder in full.

    Raises:
        ValueError: there is no record of that name.
    """
    for place, name in named_encoders(document):
        if name not in records:
            close = get_close_matches(name, records, n=1)
            raise ValueError(
                f"{place} is {name!r}, which {ENCODERS_FILE} does not have; allowed: {', '.join(records)}, or a record "
                f"in its place{f'; did you mean {close[0]!r}?' if close else ''}"
            )
    return {key: _filled(value, records) for key, value in document.items()}


def _filled(value: Any, records: Mapping[str, Any]) -> Any:
    if not isinstance(value, dict):
        return value
    filled = {key: _filled(inside, records) for key, inside in value.items()}
    return filled | ({"encoder": records[value["encoder"]]} if _names_one(value) else {})


def _names_one(section: Mapping[str, Any]) -> bool:
    """TiToks have an `encoder`, too: a size of the study. Networks come with weights, or in a family of their own."""
    return isinstance(section.get("encoder"), str) and ("weights" in section or section.get("family") == "encoder")
