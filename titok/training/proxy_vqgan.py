"""The proxy VQGAN of studies that cannot use the published one: a small one, trained on the study's own images."""

from __future__ import annotations

import torch
from torch import Tensor

from titok.config.training import Training
from titok.losses.reconstruction import ReconstructionLoss
from titok.models.vqgan import VQGAN
from titok.training.codebook import place_codebook
from titok.training.pixel_task import PixelTask, Reconstruction


class ProxyVQGANTask(PixelTask):
    """Trains encoder, codebook and decoder with pixels, perception, quantizer and adversary.

    The codebook starts from the encodings of the first batch: no released recipe exists to follow, and noise around
    zero lets small codebooks collapse.
    """

    name = "vqgan"
    model: VQGAN

    def __init__(self, model: VQGAN, losses: ReconstructionLoss, training: Training) -> None:
        super().__init__(model, losses, training)
        self.codebook_size = model.facts.codebook_size
        self.config = {"kind": "vqgan", "model": model.config.resolved()}

    def prepare(self, images: Tensor, step: int, rng: torch.Generator) -> None:
        """Places the codebook."""
        if self.begins_anew("quantize"):
            place_codebook(self.model.quantize, self.model.encode, images, self.shares, step, rng)

    def reconstruct(self, images: Tensor, noise: Tensor | None) -> Reconstruction:
        """Through the codebook, which learns."""
        reconstructions, quantized = self.model(images)
        return Reconstruction(reconstructions, quantized=quantized, indices=quantized.indices)
