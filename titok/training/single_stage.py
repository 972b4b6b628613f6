"""Single-stage training: everything at once from pixels, for discrete and continuous tokenizers (specification 7.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from titok.config.training import Training
from titok.data.images import Batch
from titok.losses.reconstruction import ReconstructionLoss
from titok.models.tokenizer import TiTok
from titok.training.codebook import place_codebook
from titok.training.pixel_task import NoisyBatch, PixelTask, Reconstruction
from titok.training.tail_drop import first_tokens, kept_tokens


class SingleStageTask(PixelTask):
    """Trains a whole tokenizer with the pixels head."""

    name = "single_stage"
    model: TiTok

    def __init__(self, model: TiTok, losses: ReconstructionLoss, training: Training) -> None:
        super().__init__(model, losses, training)
        self.codebook_size = model.facts.codebook_size
        self.config = {"kind": "tokenizer", "model": model.config.resolved()}

    def with_draws(self, batch: Batch | NoisyBatch, step: int, rng: torch.Generator) -> Batch | NoisyBatch:
        """vae: with the noise (B, K, E) of the posterior's samples, drawn for the global batch."""
        config = self.model.config
        if config.kind == "vq" or isinstance(batch, NoisyBatch):
            return batch
        shape = (len(batch.images) * self.shares.world_size, config.num_latent_tokens, config.code_dim)
        return NoisyBatch(*batch, self.shares.mine(torch.randn(shape, generator=rng)))

    def prepare(self, images: Tensor, step: int, rng: torch.Generator) -> None:
        """vq: places the codebook, and draws how many tokens are decoded."""
        self.kept = kept_tokens(self.model.config, rng)
        if self.model.config.draws_codebook and self.begins_anew("quantize"):
            place_codebook(self.model.quantize, self.model.encode, images, self.shares, step, rng)
        if self.model.config.kind == "vq":
            self.model.quantize.passes_per_step = self.shares.num_passes(len(images))

    def reconstruct(self, images: Tensor, noise: Tensor | None) -> Reconstruction:
        """vq: through the codebook, which learns. vae: through a sample of the posterior."""
        if noise is None:
            quantized = self.model.quantize(self.model.encode(images))
            restored = self.model.decode(first_tokens(quantized.z_quantized, self.kept))
            return Reconstruction(restored, quantized=quantized, indices=quantized.indices)
        posterior = self.model.posterior(images)
        return Reconstruction(self.model.decode(posterior.sample(noise)), kl=posterior.kl())
