"""What all verbs that extract rows have in common: which parts they make, and what they note with each."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from PIL import features

from titok.data.rows.facts import Facts
from titok.data.rows.parts import covering, share
from titok.runtime.manifest import provenance


def asks_for_some(options: argparse.Namespace) -> bool:
    """Whether the verb was given only some of the parts, and so merges nothing."""
    return bool(options.part or options.range)


def chosen_parts(facts: Facts, options: argparse.Namespace) -> list[range]:
    """The parts that ``--part`` or ``--range`` name, else all."""
    if options.part:
        return share(facts.parts(), *options.part)
    return covering(facts.parts(), *options.range) if options.range else facts.parts()


def made_by(device: torch.device, batch_size: int) -> dict[str, Any]:
    """What about this computer may move an id that lies halfway between two."""
    found = provenance(seed=None, config=None, device=device)
    kept = {name: found[name] for name in ("device", "machine", "packages")}
    return {**kept, "libjpeg": features.version("jpg"), "batch_size": batch_size}
