"""Files and folders that a study names and this machine has not: no mistakes, for a study is valid without its data."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from typing import Any

from titok.config.package_files import is_there
from titok.config.section import KnownBy, Section
from titok.config.study import Study


def absent_files(study: Study) -> list[str]:
    """Every path or pattern under which nothing lies, as the study writes it, once each."""
    decoded = [path for generator in study.generators.values() for path in generator.decoded.values()]
    named = dict.fromkeys([*study.dataset.source.paths, *_weights(study), *decoded])
    return [path for path in named if not glob.glob(path) and not is_there(path)]


def _weights(value: Any) -> Iterator[str]:
    """Weights and references, wherever they are named."""
    if isinstance(value, Section):
        for name, field in type(value).model_fields.items():
            inside = getattr(value, name)
            if inside is not None and any(isinstance(mark, KnownBy) for mark in field.metadata):
                yield str(inside)
            yield from _weights(inside)
    elif isinstance(value, dict):
        for inside in value.values():
            yield from _weights(inside)
