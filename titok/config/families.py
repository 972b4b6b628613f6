"""One section `tokenizers` for every family: a study may write 2D VQGANs and frozen encoders there, among the others.

Inside, those of family `vqgan` are what they are in studies with sections of their own: `baselines`, and the one called
`vqgan`, whose codes stage 1 learns, the section `vqgan`; those of family `encoder` are `soft_tokenizers`. Either way of
writing gives the same jobs.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from titok.config.rows import PROXY_TOKENIZER

FAMILIES = "titok", "vqgan", "encoder"
SOFT = "soft_tokenizers"


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
    """Takes the entries of other families out of `tokenizers`, before bases of TiToks are merged under the rest.

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
        if family != FAMILIES[0]:
            moved[_move(document, name, family)] = f"tokenizers.{name}"
    return Sorted(document, moved)


def _move(document: dict[str, Any], name: str, family: str) -> str:
    """Moves a VQGAN or a frozen encoder to its section; where that is."""
    entry = document["tokenizers"].pop(name)
    is_proxy = family == "vqgan" and name == PROXY_TOKENIZER
    section = SOFT if family == "encoder" else PROXY_TOKENIZER if is_proxy else "baselines"
    others = document if is_proxy else document.get(section) or {}
    if not isinstance(others, dict) or others.get(name) is not None:
        what = "frozen encoder" if family == "encoder" else "VQGAN"
        raise ValueError(f"the {what} {name!r} stands in tokenizers and in {section}; keep one of them")
    document[section] = entry if is_proxy else {**others, name: entry}
    return section if is_proxy else f"{section}.{name}"
