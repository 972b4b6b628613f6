"""What a prepared split is, for people and for later checks: sources, sums, numbers, oddities.

Nothing in it depends on when, where or in how many pieces the split was prepared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from titok.config.data import Preparation
from titok.data.examine import ODDITIES
from titok.data.plan import Plan
from titok.runtime.manifest import provenance

FORMAT = "titok-dataset-1"
_LISTED = 1000
"""Keys listed per oddity at most; the index has every image's mode."""

_SIDES = ("width", "height")


def manifest_path(output: Path, split: str) -> Path:
    """Where the manifest of a split is."""
    return output / f"{split}.manifest.json"


def dataset_manifest(
    plan: Plan,
    config: Preparation,
    columns: Mapping[str, np.ndarray],
    abouts: Iterable[Mapping[str, Any]],
    fingerprint: str,
) -> dict[str, Any]:
    """The manifest as plain data; ``columns`` are the index's, ``abouts`` what was learnt of each shard."""
    abouts = list(abouts)
    formats: Counter[str] = Counter()
    for about in abouts:
        formats.update(about["formats"])
    modes, numbers = np.unique(columns["mode"], return_counts=True)
    per_class = np.bincount(columns["label"], minlength=len(plan.class_names))
    made = provenance(seed=None, config=plan.settings)
    return {
        "format": FORMAT,
        "split": plan.split,
        "kind": config.kind,
        "images": len(columns["key"]),
        "bytes": int(columns["length"].sum()),
        "classes": len(plan.class_names),
        "images_per_class": {"fewest": int(per_class.min()), "most": int(per_class.max())},
        "fingerprint": fingerprint,
        "sources": plan.sources,
        "formats": dict(sorted(formats.items())),
        "modes": {mode.decode(): int(number) for mode, number in zip(modes, numbers, strict=True)},
        **{side: {"smallest": int(columns[side].min()), "largest": int(columns[side].max())} for side in _SIDES},
        "oddities": {name: _oddity(name, abouts) for name in ODDITIES},
        "undecodable": [image for about in abouts for image in about["undecodable"]],
        "ignored_files": plan.ignored,
        "code": made["code"],
        "packages": {name: made["packages"][name] for name in ("python", "numpy", "pillow")},
    }


def _oddity(name: str, abouts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    keys = sorted(key for about in abouts for key in about["oddities"].get(name, ()))  # a shard of an earlier version
    return {"count": len(keys), "meaning": ODDITIES[name], "keys": keys[:_LISTED]}
