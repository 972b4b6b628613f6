"""The codebook's first state: published noise around zero, or codes that the encoder really produces."""

from __future__ import annotations

import torch
from torch import Tensor

from titok.models.tokenizer import TiTok


@torch.no_grad()
def place_codebook(model: TiTok, images: Tensor, step: int, rng: torch.Generator) -> None:
    """At step 0 of a tokenizer with ``codebook_init: data``, draws its codes from the encodings of the first batch.

    Small codebooks of uniform noise often end with one code for everything; codes on the data do not.
    """
    if step == 0 and model.config.kind == "vq" and model.config.codebook_init == "data":
        model.init_codebook_from(model.encode(images), rng)
