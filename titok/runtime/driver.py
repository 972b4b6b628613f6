"""NVIDIA's driver beside the CUDA version that torch was built for: why a GPU cannot be used; without torch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from titok.runtime.nvidia_smi import ask

OLDEST = {11: 450, 12: 525, 13: 580}
"""Major version of CUDA -> oldest major version of the driver (NVIDIA's "minor version compatibility", Linux)."""

MODULE = Path("/proc/driver/nvidia/version")
"""What the kernel says about the driver that is loaded, also in containers without `nvidia-smi`."""


def installed_driver(module: Path = MODULE) -> str | None:
    """Version of the loaded driver, e.g. ``580.65.06``; None where there is none."""
    try:
        found = re.search(r"Module\D.*?\s(\d+(\.\d+)+)\s", module.read_text())
    except OSError:
        found = None
    if found is not None:
        return found[1]
    first = next(iter(ask("driver_version").lines), "")
    return first if re.fullmatch(r"\d+(\.\d+)+", first) else None


def oldest_driver(cuda: str) -> int | None:
    """Major version of the oldest driver for a version of CUDA, e.g. ``13.2``; None for one that is not known here."""
    return OLDEST.get(int(cuda.partition(".")[0]))


def is_too_old(driver: str, cuda: str) -> bool:
    """Whether a driver is older than CUDA's version asks for."""
    return int(driver.partition(".")[0]) < (oldest_driver(cuda) or 0)


def why_no_gpu(cuda: str | None, driver: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The reason, as far as it can be seen, for which torch sees no GPU.

    ``cuda``: the version that torch was built for, None for a wheel without. ``driver``: as ``installed_driver``.
    """
    if cuda is None:
        return "this torch was built without CUDA; install the wheel of requirements.lock"
    if driver is None:
        return f"no NVIDIA driver answers here, and CUDA {cuda} of this torch needs {_from(cuda)}"
    if is_too_old(driver, cuda):
        return f"the driver is {driver}, but CUDA {cuda} of this torch needs {_from(cuda)}"
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    named = "is not set" if visible is None else f"is {visible!r}"
    return f"the driver {driver} is new enough for CUDA {cuda}; CUDA_VISIBLE_DEVICES {named}; see nvidia-smi"


def _from(cuda: str) -> str:
    oldest = oldest_driver(cuda)
    return "a newer one than is known here" if oldest is None else f"{oldest} or newer"
