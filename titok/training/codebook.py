"""The codebook's first state: published noise around zero, or codes that the encoder really produces."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from titok.models.finite_scalar import FiniteScalarQuantizer
from titok.models.quantizer import VectorQuantizer
from titok.training.shares import Shares


@torch.no_grad()
def place_codebook(
    quantizer: VectorQuantizer | FiniteScalarQuantizer,
    encode: Callable[[Tensor], Tensor],
    images: Tensor,
    shares: Shares,
    step: int,
    rng: torch.Generator,
) -> None:
    """At step 0, draws the codes from the encodings (B, K, E) of the first batch; without a codebook, nothing.

    Small codebooks of uniform noise often end with one code for everything; codes on the data do not.

    In float32 under any precision: older versions of torch keep casts of weights that were made without gradients in
    autocast's cache and hand them to the training pass, which then trains nothing (pytorch/pytorch#112583).
    """
    if step > 0 or not isinstance(quantizer, VectorQuantizer):
        return
    with torch.autocast(images.device.type, enabled=False):
        encoded = [encode(images[rows]) for rows, _ in shares.passes(len(images))]
    quantizer.init_from(torch.cat(encoded), rng)
