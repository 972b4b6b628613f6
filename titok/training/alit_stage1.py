"""ALIT's stage 1: codes of every length learn to predict the codes of a frozen 2D base (docs/adaptive_length.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from titok.config.alit import LengthProxyLosses
from titok.config.training import Training
from titok.data.images import Batch
from titok.data.transforms import floats_on
from titok.losses.length_proxy import length_proxy_losses
from titok.models.alit import Alit
from titok.models.halting import explained, halting_mask
from titok.models.vqgan import VQGAN
from titok.runtime.transfers import sent
from titok.training.optimizer import Player
from titok.training.task import MODEL, Task, Turn


class HaltingBatch(NamedTuple):
    """A batch with what its halting is drawn by."""

    images: Tensor
    labels: Tensor
    uniform: Tensor
    """(B, T - 1, P) in [0, 1): of iteration, by row, what halts after it."""


class AlitStage1Task(Task):
    """Trains all but the base, whose weights are taken from a trained VQGAN and exported with the model."""

    name = "alit_stage1"

    def __init__(self, model: Alit, vqgan: VQGAN, losses: LengthProxyLosses, training: Training) -> None:
        super().__init__()
        model.adopt_base(vqgan)
        model.base.requires_grad_(False)
        # Without halting it stands nowhere, and what gets no gradient must not be waited for.
        model.encoder.mask_token.requires_grad_(losses.halting)
        self.model: Alit = model
        self.losses = losses
        self.players = {MODEL: Player(model, training)}
        self.codebook_size = model.facts.codebook_size
        self.config = {"kind": "alit", "model": model.config.resolved()}

    def with_draws(self, batch: Batch | HaltingBatch, step: int, rng: torch.Generator) -> Batch | HaltingBatch:
        """With the numbers that halting is drawn by, made for the global batch."""
        if isinstance(batch, HaltingBatch) or not self.losses.halting:
            return batch
        config = self.model.config
        shape = (len(batch.images) * self.shares.world_size, config.iterations - 1, config.grid_size**2)
        return HaltingBatch(*batch, self.shares.mine(torch.rand(shape, generator=rng)))

    def updates(self, batch: Batch | HaltingBatch, step: int, rng: torch.Generator) -> Iterator[Turn]:
        """All lengths of each pass together make one loss."""
        batch = self.with_draws(batch, step, rng)
        images = floats_on(batch.images, self.device)
        uniform = sent(batch.uniform, self.device) if isinstance(batch, HaltingBatch) else None
        if step == 0 and self.begins_anew("quantize"):
            self._place_codebook(images, rng)
        counted = self._counted(rng)
        for rows, share in self.shares.passes(len(images)):
            terms = self.terms(images[rows], None if uniform is None else uniform[rows], counted)
            yield Turn(MODEL, terms, share)

    def terms(self, images: Tensor, uniform: Tensor | None, counted: frozenset[int]) -> dict[str, Tensor]:
        """The loss of images (B, 3, H, W) over the iterations ``counted``, and every one's parts by length.

        ``uniform`` (B, T - 1, P) draws what halts; None: nothing does.
        """
        features, base_codes = self.look(images)
        state = self.model.start(images, features)
        found: dict[str, Tensor] = {}
        losses, indices = [], []
        for iteration in range(self.model.config.iterations):
            halted = None
            is_last = iteration == self.model.config.iterations - 1
            if iteration in counted or (uniform is not None and not is_last):
                with torch.set_grad_enabled(torch.is_grad_enabled() and iteration in counted):
                    code = self.model.code(state)
                    logits = self.model.proxy_logits(code.vectors)
                if iteration in counted:
                    terms = length_proxy_losses(
                        logits, base_codes, self.codebook, code.quantized, iteration, self.losses
                    )
                    losses.append(terms.pop("loss"))
                    found |= {f"tokens_{code.vectors.shape[1]}_{name}": term for name, term in terms.items()}
                    indices += [] if code.quantized is None else [code.quantized.indices.flatten()]
                if uniform is not None and not is_last:
                    halted = self.halted(logits, base_codes, uniform[:, iteration], iteration)
            if not is_last:
                state = self.model.encoder.next(state, halted)
        used = {"indices": torch.cat(indices)} if indices else {}
        return {"loss": torch.stack(losses).sum(), **found, **used}

    def halted(self, logits: Tensor, base_codes: Tensor, uniform: Tensor, iteration: int) -> Tensor:
        """(B, P): which positions are blanked after an iteration."""
        return halting_mask(explained(logits, base_codes), uniform, self.model.config.halting_threshold)

    @torch.no_grad()
    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The base's features (B, P, E) and codes (B, P) of images, in float32 as all that codes depend on."""
        with torch.autocast(images.device.type, enabled=False):
            features = self.model.base.encode(images)
            return features, self.model.base.quantize(features).indices

    @property
    def codebook(self) -> Tensor:
        """(V, E): the base's code vectors."""
        return self.model.base.quantize.embedding.weight

    def _counted(self, rng: torch.Generator) -> frozenset[int]:
        """Which iterations of a step count, the same for all processes."""
        everything, number = self.model.config.iterations, self.losses.decoded_iterations
        if number is None or number >= everything:
            return frozenset(range(everything))
        return frozenset(torch.randperm(everything, generator=rng)[:number].tolist())

    @torch.no_grad()
    def _place_codebook(self, images: Tensor, rng: torch.Generator) -> None:
        """Draws the codes from the first batch's latents of all lengths, where the settings want that."""
        config = self.model.config
        if (config.latents, config.codebook_init) != ("quantized", "data"):
            return
        with torch.autocast(images.device.type, enabled=False):  # for the reason that `place_codebook` gives
            latents = [
                torch.cat([self.model.encoder(state) for state in self.model.rollout(images[rows])], dim=1)
                for rows, _ in self.shares.passes(len(images))
            ]
        self.model.init_codebook_from(torch.cat(latents), rng)
