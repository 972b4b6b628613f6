"""One section `tokenizers` for every family: a study may write its 2D VQGANs there, among the others.

Inside, those of family `vqgan` are what they are in studies with sections of their own: `baselines`, and the one called
`vqgan`, whose codes stage 1 learns, the section `vqgan`. Either way of writing gives the same jobs.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from titok.config.rows import PROXY_TOKENIZER

FAMILIES = "titok", "vqgan"


class Sorted(NamedTuple):
    """A study's document with every tokenizer where its family is read."""

    document: dict[str, Any]
    moved: dict[str, str]
    """Where an entry is now -> where the file has it, for messages."""

    def as_written(self, message: str) -> str:
        """A message about the document, as one about the file."""
        for inside, written in self.moved.items():
            message = re.sub(rf"(?<![\w.-]){re.escape(inside)}(?=[.:])", written, message)
        return message


def sorted_by_family(document: dict[str, Any]) -> Sorted:
    """Takes the entries of family `vqgan` out of `tokenizers`, before bases of TiToks are merged under the others.

    Raises:
        ValueError: a family that there is not, or a tokenizer that stands in two sections.
    """
    tokenizers = document.get("tokenizers")
    if not isinstance(tokenizers, dict):
        return Sorted(document, {})
    document = {**document, "tokenizers": dict(tokenizers)}
    moved: dict[str, str] = {}
    for name, entry in tokenizers.items():
        family = entry.get("family", FAMILIES[0]) if isinstance(entry, dict) else FAMILIES[0]
        if family not in FAMILIES:
            raise ValueError(f"tokenizers.{name}.family is {family!r}; allowed: {', '.join(FAMILIES)}")
        if family == "vqgan":
            moved[_move(document, name)] = f"tokenizers.{name}"
    return Sorted(document, moved)


def _move(document: dict[str, Any], name: str) -> str:
    """Moves a VQGAN to its section; where that is."""
    entry = document["tokenizers"].pop(name)
    place = PROXY_TOKENIZER if name == PROXY_TOKENIZER else f"baselines.{name}"
    others = document if name == PROXY_TOKENIZER else document.get("baselines") or {}
    if not isinstance(others, dict) or others.get(name) is not None:
        raise ValueError(f"the VQGAN {name!r} stands in tokenizers and in {place.split('.')[0]}; keep one of them")
    if name == PROXY_TOKENIZER:
        document[PROXY_TOKENIZER] = entry
    else:
        document["baselines"] = {**others, name: entry}
    return place
