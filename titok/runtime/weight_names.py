"""Names of weights as wrappers leave them: ``module.`` of data parallelism, ``_orig_mod.`` of compiling."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

_COMPILED, _PARALLEL = "_orig_mod", "module."
_AVERAGE = "n_averaged"
"""The one name that torch's AveragedModel adds beside its module."""


def unwrapped(state: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """``state`` under the names of the model itself, and which parts of names were taken away (empty: none).

    A name keeps what may be its own: ``module.`` goes only where every name begins with it.
    """
    names = {key: ".".join(part for part in key.split(".") if part != _COMPILED) for key in state}
    removed = [f"{_COMPILED}."] if any(key != name for key, name in names.items()) else []
    while (kept := [key for key, name in names.items() if name != _AVERAGE]) and all(
        names[key].startswith(_PARALLEL) for key in kept
    ):
        names = {key: names[key].removeprefix(_PARALLEL) for key in kept}
        removed.append(_PARALLEL)
    if not removed or len(set(names.values())) < len(names):
        return dict(state), ""
    return {name: state[key] for key, name in names.items()}, " and ".join(dict.fromkeys(removed))


def shared_beginning(names: Iterable[str]) -> str:
    """What all names begin with, up to a dot: ``model.`` of ``model.a`` and ``model.b``; empty for fewer than two."""
    parts = [name.split(".")[:-1] for name in names]
    if len(parts) < 2:
        return ""
    shared = itertools.takewhile(lambda same: len(set(same)) == 1, zip(*parts, strict=False))
    return "".join(f"{same[0]}." for same in shared)
