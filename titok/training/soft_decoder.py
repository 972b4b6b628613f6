"""A decoder learns to show the tokens of a frozen encoder (RAE, arXiv 2510.11690, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from titok.config.training import Training
from titok.data.images import Batch
from titok.losses.reconstruction import ReconstructionLoss
from titok.models.soft_tokenizer import SoftTokenizer
from titok.training.pixel_task import NoisyBatch, PixelTask, Reconstruction


class SoftDecoderTask(PixelTask):
    """Trains the decoder alone; of the encoder, neither weights nor statistics move."""

    name = "soft_decoder"
    model: SoftTokenizer

    def __init__(
        self, model: SoftTokenizer, losses: ReconstructionLoss, training: Training, latent_noise: float = 0.0
    ) -> None:
        """``latent_noise``: scale of the noise's deviations; 0 draws none."""
        model.decoder.requires_grad_(True)
        super().__init__(model, losses, training)
        self.latent_noise = latent_noise
        self.config = {"kind": "soft_tokenizer", "model": model.config.resolved()}

    def with_draws(self, batch: Batch | NoisyBatch, step: int, rng: torch.Generator) -> Batch | NoisyBatch:
        """With noise (B, K, E) for the tokens, drawn for the global batch: of each image as strong as its own draw."""
        if not self.latent_noise or isinstance(batch, NoisyBatch):
            return batch
        images = len(batch.images) * self.shares.world_size
        shape = (images, self.model.config.num_latent_tokens, self.model.config.encoder.width)
        strength = self.latent_noise * torch.randn(images, 1, 1, generator=rng).abs()
        return NoisyBatch(*batch, self.shares.mine(strength * torch.randn(shape, generator=rng)))

    def reconstruct(self, images: Tensor, noise: Tensor | None) -> Reconstruction:
        """Frozen tokens, trained decoder."""
        latents = self.model.encode(images)
        return Reconstruction(self.model.decode(latents if noise is None else latents + noise))
