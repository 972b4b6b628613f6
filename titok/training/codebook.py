"""The codebook's first state: published noise around zero, or codes that the encoder really produces."""

from __future__ import annotations

import torch
from torch import Tensor

from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.training.shares import Shares


@torch.no_grad()
def place_codebook(model: TiTok | VQGAN, images: Tensor, shares: Shares, step: int, rng: torch.Generator) -> None:
    """At step 0, draws the codes from the encodings of the first batch: of a tokenizer with ``codebook_init: data``, or
    of a VQGAN, for whose training no released recipe exists to follow.

    Small codebooks of uniform noise often end with one code for everything; codes on the data do not.

    In float32 under any precision: older versions of torch keep casts of weights that were made without gradients in
    autocast's cache and hand them to the training pass, which then trains nothing (pytorch/pytorch#112583).
    """
    if step > 0 or (isinstance(model, TiTok) and (model.config.kind, model.config.codebook_init) != ("vq", "data")):
        return
    with torch.autocast(images.device.type, enabled=False):
        encoded = [model.encode(images[rows]) for rows, _ in shares.passes(len(images))]
    model.quantize.init_from(torch.cat(encoded), rng)
