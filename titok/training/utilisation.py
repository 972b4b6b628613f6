"""How much of a device's arithmetic a training uses: model FLOPs utilisation (Chowdhery et al. 2022, appendix B)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from titok.config.training import Compute

PEAKS: dict[str, dict[str, float]] = {
    "A100": {"fp64": 19.5e12, "fp32": 19.5e12, "tf32": 156e12, "half": 312e12},
    "H100": {"fp64": 67e12, "fp32": 67e12, "tf32": 494.7e12, "half": 989.4e12},
    "H200": {"fp64": 67e12, "fp32": 67e12, "tf32": 494.7e12, "half": 989.4e12},
}
"""Operations per second by the makers' data sheets (SXM modules, dense), by part of the device's name."""

BOARDS: dict[str, dict[str, float]] = {
    "H100 PCIe": {"fp64": 51e12, "fp32": 51e12, "tf32": 378e12, "half": 756e12},
    "H100 NVL": {"fp64": 60e12, "fp32": 60e12, "tf32": 417.5e12, "half": 835.5e12},
    "H200 NVL": {"fp64": 60e12, "fp32": 60e12, "tf32": 417.5e12, "half": 835.5e12},
}
"""The same of boards whose names contain a faster module's. A100 boards have the module's rates."""


def device_peak(device: torch.device, compute: Compute) -> float | None:
    """Operations per second of ``device`` in the settings' precision; None where nobody has said."""
    if device.type != "cuda":
        return None
    return named_peak(torch.cuda.get_device_name(device), compute)


def arithmetic_of(compute: Compute) -> str:
    """What networks are computed in, as `PEAKS` calls it."""
    return "half" if compute.precision != "fp32" else "tf32" if compute.tf32 else "fp32"


def named_peak(name: str, compute: Compute) -> float | None:
    """The same by the device's name; None for a part of a device (MIG), which has a part of the rates."""
    if "MIG" in name:
        return None
    return next((rates[arithmetic_of(compute)] for part, rates in {**BOARDS, **PEAKS}.items() if part in name), None)


@dataclass(frozen=True)
class Utilisation:
    """Turns images per second into shares of what the devices could do."""

    flops_per_image: float
    """Of a training step, forward and backward."""
    peak: float
    """Of all processes' devices, operations per second."""

    def share(self, images_per_second: float) -> float:
        """Between 0 and 1; recomputed activations do not count as work."""
        return images_per_second * self.flops_per_image / self.peak
