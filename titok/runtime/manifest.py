"""Where a number comes from: commit, versions, machine, settings and input files, as plain data.

Results are published, so nothing here names a host, a user or a folder.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from titok.runtime.arithmetic import current
from titok.runtime.files import existing_file, sha256_file
from titok.runtime.sums import sha256_json

if TYPE_CHECKING:
    import torch

_PACKAGES = (
    "titok-suite",
    "numpy",
    "pandas",
    "pillow",
    "pydantic",
    "safetensors",
    "scikit-learn",
    "scipy",
    "snakemake",
    "timm",
    "torch",
    "torch-fidelity",
    "torchvision",
)
_CODE = "titok/", "workflow/"
"""Where an untracked file can change a result."""
_SOURCE_ROOT = Path(__file__).resolve().parents[2]


def provenance(
    *,
    seed: int | None,
    config: Any,
    inputs: Mapping[str, str | Path] | None = None,
    device: torch.device | str | None = None,
) -> dict[str, Any]:
    """Everything needed to make a result again, as JSON-ready data.

    ``config`` is the resolved settings of the step (plain data; only its SHA-256 is kept), ``inputs`` maps a role to a
    file (kept: base name, size, SHA-256; ``FileError`` when missing), ``device`` is where the step ran. torch is
    described only if the process has already imported it, so that table-making stays fast.
    """
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": dict(_code_version(_SOURCE_ROOT)),
        "seed": seed,
        "config_sha256": sha256_json(config),
        "inputs": {role: _describe_file(existing_file(path)) for role, path in sorted((inputs or {}).items())},
        "device": _describe_device(device),
        "arithmetic": current() if str(device or "cpu").startswith("cpu") else "native",
        "machine": dict(_machine()),
        "packages": dict(_package_versions()),
    }


def _describe_file(path: Path) -> dict[str, Any]:
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256_file(path)}


def _describe_device(device: torch.device | str | None) -> dict[str, Any] | None:
    if device is None:
        return None
    if "torch" not in sys.modules:
        return {"type": str(device)}
    from titok.runtime.device import describe_device

    return describe_device(device)


@functools.cache
def _code_version(root: Path) -> Mapping[str, Any]:
    """Commit of the checkout at ``root`` and whether files differ from it; None for both outside a checkout.

    Only a ``.git`` directly at ``root`` counts: an installed copy may lie inside the checkout of another project.
    """
    unknown = {"commit": None, "modified": None}
    if not (root / ".git").exists():
        return unknown
    try:
        status = subprocess.run(
            ["git", "-C", str(root), "status", "--porcelain=v2", "--branch", "--untracked-files=all"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
            # Without this, many jobs at once would fight for the lock of the index.
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return unknown
    commits = [line.removeprefix("# branch.oid ") for line in status if line.startswith("# branch.oid ")]
    commit = commits[0] if commits and commits[0] != "(initial)" else None
    return {"commit": commit, "modified": commit is None or any(_is_change(line) for line in status)}


def _is_change(line: str) -> bool:
    """Whether a line of git's status tells of other code: a person's own studies and notes beside it are none."""
    if line.startswith("? "):
        return line[2:].lstrip('"').startswith(_CODE)
    return not line.startswith("#")


@functools.cache
def _package_versions() -> Mapping[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


@functools.cache
def _machine() -> Mapping[str, Any]:
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
    }


def _cpu_model() -> str | None:
    """The processor's model name, where the system tells it (Linux); else None."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
