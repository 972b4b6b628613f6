"""By which settings a folder keeps the state of a training, that of an earlier version included.

A state is named by what decides the run. Earlier versions counted settings that decide nothing, too: how it runs, and
where weights lie. Their states have other names, but what such a state holds is the same run, and it goes on there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from titok.config.file_sums import FileSums
from titok.config.section import Section
from titok.runtime.files import FileError, read_json
from titok.runtime.sums import sha256_json


def identity_of(settings: Section) -> dict[str, Any]:
    """What decides the run's result: not where weights lie but what is in them, not how often it saves."""
    return FileSums().filled(settings).identity()


def state_name(told: Mapping[str, Any]) -> str:
    """Names the state of this very run: other settings, seeds or inputs start afresh beside it and lose nothing."""
    return sha256_json(told)[:12]


def kept_config(folder: Path, settings: Section, told: Mapping[str, Any]) -> dict[str, Any]:
    """The `config` by which ``folder`` keeps the state of the run: that of ``told``, or how an earlier version said it.

    ``told``: `task`, `seed`, `config` (the identity of ``settings``) and `inputs` (role -> SHA-256).
    """
    today: dict[str, Any] = told["config"]
    if (folder / state_name(told)).exists():
        return today
    for path in sorted(folder.glob("*/run.json")):
        config = _config_of(path)
        same_run = path.parent.name == state_name({**told, "config": config})
        if same_run and _identity_today(type(settings), config) == today:
            return config
    return today


def _config_of(path: Path) -> dict[str, Any]:
    """Of a file that may be damaged: then it is not this run's."""
    try:
        config = read_json(path)["config"]
    except (FileError, KeyError, TypeError):
        return {}
    return config if isinstance(config, dict) else {}


def _identity_today(kind: type[Section], config: dict[str, Any]) -> dict[str, Any] | None:
    """None where this version does not know the settings."""
    try:
        return identity_of(kind.model_validate(config))
    except ValidationError:
        return None
