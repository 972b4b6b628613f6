"""How much of a device's arithmetic a training uses: model FLOPs utilisation (Chowdhery et al. 2022, appendix B)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from titok.config.training import Compute
from titok.training.operations import StepFlops, by_arithmetic, named_peaks


def device_peaks(device: torch.device) -> dict[str, float] | None:
    """Operations per second of ``device`` by arithmetic; None where nobody has said."""
    if device.type != "cuda":
        return None
    return named_peaks(torch.cuda.get_device_name(device))


@dataclass(frozen=True)
class Utilisation:
    """Turns images per second into the share of time that the devices would need at their peak."""

    step: StepFlops
    task: str
    compute: Compute
    peaks: Mapping[str, float]
    """Of one device, operations per second by arithmetic."""
    num_devices: int = 1

    def share(self, images_per_second: float, first: int, end: int) -> float:
        """Between 0 and 1, of the steps ``first`` to ``end`` - 1; recomputed activations do not count as work."""
        playing = max(0, end - max(first, self.step.start_step)) / (end - first)
        flops = by_arithmetic(self.step, self.task, self.compute, playing=playing)
        seconds = sum(number / self.peaks[arithmetic] for arithmetic, number in flops.items())
        return images_per_second * seconds / self.num_devices
