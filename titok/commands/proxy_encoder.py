"""A frozen VQGAN as the verbs on stored codes use it: windows in, codes out, on a device, in a precision."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from titok.data.rows.facts import Precision, RowsError
from titok.data.transforms import from_uint8
from titok.models.folder import load_vqgan
from titok.models.vqgan import VQGAN
from titok.runtime.device import select_device

TOLERANCE: dict[Precision, float] = {"fp32": 1e-4, "tf32": 2e-2, "bf16": 2e-2}
"""How far above the smallest distance a code may be that another machine chose, relative to the squared lengths."""


class ProxyEncoder:
    """Codes of windows by one VQGAN. With ``fp32`` they are those that training computes online."""

    def __init__(self, vqgan: VQGAN, device: torch.device, precision: Precision = "fp32") -> None:
        self.vqgan = vqgan
        self.device = device
        self.precision = precision

    @classmethod
    def load(cls, path: Path, device: str, precision: Precision) -> ProxyEncoder:
        """The VQGAN in a model file; raises ``RowsError`` for TF32 on anything but a CUDA device."""
        chosen = select_device(device, allow_tf32=precision == "tf32")
        if precision == "tf32" and chosen.type != "cuda":
            raise RowsError(f"--precision is tf32, which only CUDA devices have, but the device is {chosen}; use fp32")
        return cls(load_vqgan(path, chosen), chosen, precision)

    def codes(self, windows: Tensor) -> Tensor:
        """Windows (B, 3, S, S) uint8 to codes (B, P) int64 on the CPU."""
        return self._encode(windows)[1].cpu()

    @torch.no_grad()
    def gaps(self, windows: Tensor, codes: Tensor) -> Tensor:
        """How much farther than the nearest code each of ``codes`` (B, P) is: (B, P) on the CPU.

        Difference of the squared distances over the sum of the squared lengths of latent and code.
        """
        latents, nearest = self._encode(windows)
        codes = codes.to(self.device)
        given, best = self.vqgan.quantize.lookup(codes), self.vqgan.quantize.lookup(nearest)
        excess = (latents - given).square().sum(-1) - (latents - best).square().sum(-1)
        relative = excess / (latents.square().sum(-1) + given.square().sum(-1))
        # Two ways to compute a distance round differently; the nearest code's gap is nothing but that.
        return torch.where(codes == nearest, 0.0, relative.clamp_min(torch.finfo(torch.float32).tiny)).cpu()

    @torch.no_grad()
    def _encode(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, P, E) float32 and codes (B, P)."""
        images = from_uint8(windows.to(self.device))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            latents = self.vqgan.encode(images)
        return latents.float(), self.vqgan.quantize(latents).indices
