"""One-D-Piece's tail drop: the decoder learns from the first tokens of a code alone (docs/adaptive_length.md)."""

from __future__ import annotations

import torch
from torch import Tensor

from titok.config.model import TokenizerModel
from titok.runtime.seed import generator


def kept_tokens(config: TokenizerModel, rng: torch.Generator) -> int:
    """How many of its K tokens a step's batch keeps; all without tail drop.

    A function of the step's seed, which ``rng`` begins with, whatever else was drawn from it: the same for all
    processes, and after a resume.
    """
    most = config.num_latent_tokens
    if config.tail_drop == "off":
        return most
    return int(torch.randint(1, most + 1, (), generator=generator(rng.initial_seed(), "tail_drop")))


def first_tokens(latents: Tensor, kept: int) -> Tensor:
    """The first ``kept`` of latents (B, K, E): the others are dropped, not masked."""
    return latents[:, :kept]
