"""What stage 2, single-stage tokenizers and the proxy VQGAN share: images in, images out, judged by a discriminator."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from titok.config.training import Training
from titok.data.transforms import floats_on
from titok.losses.reconstruction import ReconstructionLoss
from titok.models.quantizer import Quantized
from titok.runtime.transfers import sent
from titok.training.optimizer import Player
from titok.training.task import MODEL, Task, Turn

DISCRIMINATOR = "discriminator"
"""The second player, from the adversarial start step on."""


class Reconstruction(NamedTuple):
    """A batch through the model, with what its losses and its log need."""

    images: Tensor
    """(B, 3, H, W), not clamped."""
    quantized: Quantized | None = None
    """Where the codebook learns."""
    kl: Tensor | None = None
    """(B, K) nats per token of a vae."""
    indices: Tensor | None = None
    """Codes used, for the log."""


class NoisyBatch(NamedTuple):
    """A batch with the noise (B, ...) of this process's rows."""

    images: Tensor
    labels: Tensor
    noise: Tensor


class PixelTask(Task):
    """Reconstruct, update the model; then, once it is time, update the discriminator on the same reconstructions."""

    def __init__(self, model: nn.Module, losses: ReconstructionLoss, training: Training) -> None:
        super().__init__()
        self.model = model
        self.losses = losses
        first = Player(model, training)
        self.players = {MODEL: first}
        if losses.adversarial is not None:
            settings = losses.adversarial.config
            self.players[DISCRIMINATOR] = Player(
                losses.adversarial,
                training,
                learning_rate=settings.learning_rate,
                start_step=settings.start_step,
                scaler=first.scaler,
            )

    def prepare(self, images: Tensor, step: int, rng: torch.Generator) -> None:
        """Whatever comes before a step's first pass over ``images`` (B, ...)."""

    @abstractmethod
    def reconstruct(self, images: Tensor, noise: Tensor | None) -> Reconstruction:
        """Images (B, 3, H, W) in [0, 1] through the model, with these rows of the batch's noise, if any."""

    def beside(self, batch: Any) -> Tensor | None:
        """What a batch with draws has beside images and classes, row by row: the noise."""
        return batch.noise if isinstance(batch, NoisyBatch) else None

    def updates(self, batch: Any, step: int, rng: torch.Generator) -> Iterator[Turn]:
        """The model's turn, then the discriminator's (specification 8.6).

        The discriminator judges the process's whole batch at once: its LeCam term is no mean over images.
        """
        batch = self.with_draws(batch, step, rng)
        given = self.beside(batch)
        noise = None if given is None else sent(given, self.device)
        images = floats_on(batch.images, self.device)
        self.prepare(images, step, rng)
        reconstructions = []
        for rows, share in self.shares.passes(len(images)):
            result = self.reconstruct(images[rows], None if noise is None else noise[rows])
            terms = self.losses(images[rows], result.images, step, quantized=result.quantized, kl=result.kl)
            if result.indices is not None:
                terms["indices"] = result.indices
            yield Turn(MODEL, terms, share)
            reconstructions.append(result.images.detach())
        adversarial = self.losses.adversarial
        if adversarial is not None and adversarial.is_active(step):
            terms = adversarial.discriminator_terms(images, torch.cat(reconstructions), step)
            yield Turn(DISCRIMINATOR, {"loss": terms.pop("discriminator_loss"), **terms})
