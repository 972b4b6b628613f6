"""A decoder learns to show the tokens of a frozen encoder (RAE, arXiv 2510.11690, section 3)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from titok.config.training import Training
from titok.data.images import Batch
from titok.data.tokened_images import TokenedBatch
from titok.losses.reconstruction import ReconstructionLoss
from titok.models.soft_tokenizer import SoftTokenizer
from titok.training.pixel_task import NoisyBatch, PixelTask, Reconstruction


class LatentBatch(NamedTuple):
    """A batch with what the decoder reads (B, K, E)."""

    images: Tensor
    labels: Tensor
    latents: Tensor


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
        self.has_latents = False
        self.config = {"kind": "soft_tokenizer", "model": model.config.resolved()}

    def with_draws(
        self, batch: Batch | TokenedBatch | NoisyBatch | LatentBatch, step: int, rng: torch.Generator
    ) -> Batch | NoisyBatch | LatentBatch:
        """With noise (B, K, E) for the tokens, drawn for the global batch: of each image as strong as its own draw."""
        if isinstance(batch, NoisyBatch | LatentBatch):
            return batch
        noise = self._noise(len(batch.images), rng) if self.latent_noise else None
        if isinstance(batch, TokenedBatch):
            return LatentBatch(batch.images, batch.labels, batch.tokens if noise is None else batch.tokens + noise)
        return batch if noise is None else NoisyBatch(*batch, noise)

    def _noise(self, rows: int, rng: torch.Generator) -> Tensor:
        images = rows * self.shares.world_size
        shape = (images, self.model.config.num_latent_tokens, self.model.config.encoder.width)
        strength = self.latent_noise * torch.randn(images, 1, 1, generator=rng).abs()
        return self.shares.mine(strength * torch.randn(shape, generator=rng))

    def beside(self, batch: Any) -> Tensor | None:
        """The noise or, where tokens were computed before, what the decoder reads."""
        self.has_latents = isinstance(batch, LatentBatch)
        return batch.latents if isinstance(batch, LatentBatch) else super().beside(batch)

    def reconstruct(self, images: Tensor, noise: Tensor | None) -> Reconstruction:
        """Frozen tokens, trained decoder."""
        if noise is None:
            return Reconstruction(self.model.decode(self.model.encode(images)))
        return Reconstruction(self.model.decode(noise if self.has_latents else self.model.encode(images) + noise))
