"""A bottleneck without a codebook: every channel of a latent is rounded to one of a few values (FSQ).

Mentzer et al., *Finite Scalar Quantization: VQ-VAE Made Simple* (arXiv 2309.15505), section 3 and appendix A.1. There
are as many tokens as combinations of values, and each is in reach of every latent, so that none can die; nothing is
learnt here, and there is no loss of its own. Computes in float32 under any precision, as the other bottlenecks do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from titok.models.quantizer import Quantized

MARGIN = 1e-3
"""By which share the bounds stay within the outermost halves, which might be rounded either way."""


class FiniteScalarQuantizer(nn.Module):
    """Channel ``i`` of a latent becomes one of ``levels[i]`` values, evenly spaced from -1 to 1.

    An even number of levels has one value at 0, and so no 1. Ids count in mixed radix, the first channel fastest.
    """

    reach: Tensor
    offset: Tensor
    shift: Tensor
    middle: Tensor
    counts: Tensor
    places: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.codebook_size = math.prod(levels)
        self.passes_per_step = 1
        reach = [(count - 1) * (1 - MARGIN) / 2 for count in levels]
        offset = [0.0 if count % 2 else 0.5 for count in levels]
        # The tangent is the published code's; an inverse tanh would map 0 to 0 exactly, and has none for two levels.
        shift = [math.tan(by / within) for by, within in zip(offset, reach, strict=True)]
        for name, values in {"reach": reach, "offset": offset, "shift": shift}.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)
        places = [math.prod(levels[:place]) for place in range(len(levels))]
        middle = [count // 2 for count in levels]
        for name, numbers in {"middle": middle, "counts": levels, "places": places}.items():
            self.register_buffer(name, torch.tensor(numbers, dtype=torch.int64), persistent=False)

    def forward(self, z: Tensor) -> Quantized:
        """Rounds latents (B, K, E), E channels; gradients pass the rounding, not the bounds. Losses are 0."""
        with torch.autocast(device_type=z.device.type, enabled=False):
            bounded = torch.tanh(z.float() + self.shift) * self.reach - self.offset
            steps = bounded.detach().round()
            z_quantized = (bounded + (steps - bounded).detach()) / self.middle
            indices = ((steps.long() + self.middle) * self.places).sum(dim=-1)
        nothing = z_quantized.new_zeros(())
        return Quantized(z_quantized, indices, nothing, nothing, nothing)

    def lookup(self, indices: Tensor) -> Tensor:
        """The values (..., E) float32 that ``indices`` (...) stand for."""
        digits = indices.unsqueeze(-1) // self.places % self.counts
        return (digits - self.middle).float() / self.middle
