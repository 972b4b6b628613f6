"""Stage 2: the decoder learns pixels, tokens stay as they are (paper section 3.2, specification 7.2 and 8.5)."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from titok.config.training import Training
from titok.losses.reconstruction import ReconstructionLoss
from titok.models.tokenizer import TiTok
from titok.training.pixel_task import PixelTask, Reconstruction
from titok.training.tail_drop import first_tokens, kept_tokens


class Stage2Task(PixelTask):
    """Trains decoder, pixel codebook and pixel decoder of a stage-1 model; encoder and codebook are frozen.

    Images come from the expected proxy code (``pixel_lookup: soft``), so that gradients reach the decoder's logits.
    The quantizer's losses have nothing to train here and are left out.
    """

    name = "stage2"
    model: TiTok

    def __init__(self, model: TiTok, losses: ReconstructionLoss, training: Training) -> None:
        model.pixel_lookup = "soft"
        model.requires_grad_(True)
        model.encoder.requires_grad_(False)
        if model.latent_tokens is not None:
            model.latent_tokens.requires_grad_(False)
        model.quantize.requires_grad_(False)
        super().__init__(model, losses, training)
        self.codebook_size = model.facts.codebook_size
        self.config = {"kind": "tokenizer", "model": {**model.config.resolved(), "pixel_lookup": "soft"}}

    def train(self, mode: bool = True) -> Self:
        """The codebook stays in eval mode, where it does not move unused codes."""
        super().train(mode)
        self.model.quantize.eval()
        return self

    def prepare(self, images: Tensor, step: int, rng: torch.Generator) -> None:
        """Draws how many tokens are decoded."""
        self.kept = kept_tokens(self.model.config, rng)

    def reconstruct(self, images: Tensor, noise: Tensor | None) -> Reconstruction:
        """Frozen tokens, trained decoder."""
        with torch.no_grad():
            quantized = self.model.quantize(self.model.encode(images))
        return Reconstruction(
            self.model.decode(first_tokens(quantized.z_quantized, self.kept)), indices=quantized.indices
        )
