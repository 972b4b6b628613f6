"""Counted operations of models and training steps, kept on the disk: counting takes torch, and seconds.

They are kept under all that decides a count: what was asked, with every setting, the sum of this package's source, and
the versions of the packages that count. A changed model is counted anew; a file that cannot be read or written costs
time and nothing else.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from titok.config.generator_model import GeneratorModel
from titok.config.model import ClassifierModel, VQGANModel
from titok.config.section import Section
from titok.models.operations import Flops
from titok.runtime.files import FileError, read_json, write_json
from titok.runtime.sums import sha256_json
from titok.training.operations import StepFlops

_PACKAGE = Path(__file__).parents[1]
_MODELS, _FAMILIES, _STEPS = "titok.models.flops", "titok.models.folder", "titok.training.flops"
_STATES = 8
"""Of the code, whose counts are kept; those of others are removed."""
_kept: dict[str, Any] = {}
"""Of this process: key -> numbers."""


def step_of_job(job: Section, classifier: ClassifierModel | None = None) -> StepFlops:
    """See `titok.training.flops.step_of_job`."""
    return StepFlops(*_counted(_STEPS, "step_of_job", job, classifier))


def parts_of_model(config: Section) -> dict[str, Flops]:
    """See `titok.models.folder.parts_of_model`."""
    return _parts(_counted(_FAMILIES, "parts_of_model", config))


def vqgan_parts(config: VQGANModel, image_size: int) -> dict[str, Flops]:
    """See `titok.models.flops.vqgan_parts`."""
    return _parts(_counted(_MODELS, "vqgan_parts", config, image_size))


def generator_flops(config: GeneratorModel) -> Flops:
    """See `titok.models.flops.generator_flops`."""
    return Flops(*_counted(_MODELS, "generator_flops", config))


def classifier_flops(config: ClassifierModel, image_size: int) -> Flops:
    """See `titok.models.flops.classifier_flops`."""
    return Flops(*_counted(_MODELS, "classifier_flops", config, image_size))


@contextlib.contextmanager
def kept_in(folder: Path | None) -> Iterator[None]:
    """Inside, counts that were kept in ``folder`` are known; new ones are kept there at the end. None: nowhere."""
    if folder is None:
        yield
        return
    path = folder / f"operations-{counter_sum()[:16]}.json"
    try:
        found = read_json(path) if path.exists() else {}
    except (FileError, OSError):
        found = {}
    if isinstance(found, dict):
        _kept.update(found)
    known = set(_kept)
    yield
    if _kept.keys() - known:
        with contextlib.suppress(FileError, OSError):
            write_json(path, _kept)
            for old in sorted(folder.glob("operations-*.json"), key=lambda one: one.stat().st_mtime)[:-_STATES]:
                old.unlink()


def cache_folder() -> Path | None:
    """Below where this user's caches lie, as other programs have it; None where there is no home."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "titok" if os.path.isabs(base) else None


@functools.cache
def counter_sum() -> str:
    """SHA-256 of whatever counts: all source of this package, and the versions of torch, torchvision and timm."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(_PACKAGE)}\n".encode())
        digest.update(path.read_bytes())
    for package in ("torch", "torchvision", "timm"):
        digest.update(f"{package} {importlib.metadata.version(package)}\n".encode())
    return digest.hexdigest()


def _counted(module: str, name: str, *arguments: Section | int | None) -> Any:
    """Numbers of a count: a list, or lists by name."""
    key = sha256_json([name, *map(_plain, arguments)])
    if key not in _kept:
        found = getattr(import_module(module), name)(*arguments)
        _kept[key] = {part: list(each) for part, each in found.items()} if isinstance(found, dict) else list(found)
    return _kept[key]


def _plain(argument: Section | int | None) -> Any:
    return [type(argument).__name__, argument.resolved()] if isinstance(argument, Section) else argument


def _parts(numbers: dict[str, list[int]]) -> dict[str, Flops]:
    return {part: Flops(*each) for part, each in numbers.items()}
