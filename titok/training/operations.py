"""What a training step computes and what devices can: operations by the arithmetic they are done in; no torch here."""

from __future__ import annotations

from typing import NamedTuple

from titok.config.training import Compute

PEAKS: dict[str, dict[str, float]] = {
    "A100": {"fp64": 19.5e12, "fp32": 19.5e12, "tf32": 156e12, "half": 312e12},
    "H100": {"fp64": 67e12, "fp32": 67e12, "tf32": 494.7e12, "half": 989.4e12},
    "H200": {"fp64": 67e12, "fp32": 67e12, "tf32": 494.7e12, "half": 989.4e12},
}
"""Operations per second, dense, by part of the device's name: of SXM modules, whose data sheets state tensor rates of
Hopper with sparsity (989.4 and 1,978.9: halved here). H200 and GH200 are taken to compute as the H100 module does."""

BOARDS: dict[str, dict[str, float]] = {
    "H100 PCIe": {"fp64": 51e12, "fp32": 51e12, "tf32": 378e12, "half": 756e12},
    "H100 NVL": {"fp64": 60e12, "fp32": 60e12, "tf32": 417.5e12, "half": 835.5e12},
    "H200 NVL": {"fp64": 60e12, "fp32": 60e12, "tf32": 417.5e12, "half": 835.5e12},
}
"""The same of boards whose names contain a faster module's (tensor rates with sparsity: H100 PCIe 756 and 1,513, NVL
835 and 1,671). Not verified: the maker's own sheets could not be read; other lists confirm only that an H100 NVL has
835 in half precision, dense, and are silent on the H200 NVL. A100 boards have the module's rates."""


class StepFlops(NamedTuple):
    """Operations of a training step, per image."""

    frozen: int
    """Networks that only look: the proxy VQGAN's encoder in stage 1, TiTok's own in stage 2."""
    model: int
    """What is trained, forward and backward."""
    perceptual: int = 0
    adversary: int = 0
    """From its start step on: judging the reconstructions, and learning."""
    start_step: int = 0

    @property
    def late(self) -> int:
        """With everything at work."""
        return self.frozen + self.model + self.perceptual + self.adversary

    def total(self, steps: int) -> int:
        """Of a whole run, per image of a batch: multiply by the batch size."""
        return steps * (self.frozen + self.model + self.perceptual) + max(0, steps - self.start_step) * self.adversary


def named_peaks(name: str) -> dict[str, float] | None:
    """The same by the device's name; None for a part of a device (MIG), which has a part of the rates."""
    if "MIG" in name:
        return None
    return next((rates for part, rates in {**BOARDS, **PEAKS}.items() if part in name), None)


def arithmetic_of(compute: Compute) -> str:
    """What networks are computed in, as `PEAKS` calls it."""
    return "half" if compute.precision != "fp32" else "tf32" if compute.tf32 else "fp32"


def by_arithmetic(step: StepFlops, task: str, compute: Compute, *, playing: float = 1.0) -> dict[str, float]:
    """Operations of a training step per image, by the arithmetic that they are done in.

    Losses, and the proxy VQGAN that looks on in stage 1, stay in float32 under autocast; stage 2's own encoder does
    not. ``playing``: the share of steps in which the discriminator plays.
    """
    own, full = arithmetic_of(compute), "tf32" if compute.tf32 else "fp32"
    frozen = full if task == "stage1" else own
    parts = ((own, step.model), (frozen, step.frozen), (full, step.perceptual), (full, step.adversary * playing))
    flops: dict[str, float] = {}
    for arithmetic, number in parts:
        flops[arithmetic] = flops.get(arithmetic, 0.0) + number
    return {arithmetic: number for arithmetic, number in flops.items() if number}
