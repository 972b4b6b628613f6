"""The generator learns to fill in masked tokens (paper section 3.3, specification 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple

import torch

from titok.config.sampling import MaskSchedule
from titok.config.training import MaskedTokenLosses, Training
from titok.data.tokens import TokenBatch
from titok.generation.masking import MaskingDraws, draw_masking, mask_tokens
from titok.losses.masked_token import masked_token_loss, token_weights
from titok.models.generator import MaskGIT
from titok.runtime.processes import mean
from titok.training.optimizer import Player
from titok.training.task import MODEL, Task, Turn

Draw = Callable[[int, int, torch.Generator], MaskingDraws]
"""(batch size, K, the step's generator) -> the random numbers of one batch."""


class GeneratorTask(Task):
    """Masked-token modelling with dropped classes; ``draw`` may replay recorded random numbers."""

    name = "generator"

    def __init__(
        self,
        model: MaskGIT,
        mask_schedule: MaskSchedule,
        losses: MaskedTokenLosses,
        training: Training,
        draw: Draw = draw_masking,
    ) -> None:
        super().__init__()
        self.model: MaskGIT = model
        self.mask_schedule = mask_schedule
        self.losses = losses
        self.draw = draw
        self.players = {MODEL: Player(model, training)}
        self.config = {"kind": "generator", "model": model.config.resolved()}

    def updates(self, batch: TokenBatch, step: int, rng: torch.Generator) -> Iterator[Turn]:
        """Mask, predict, one update; the loss is the weighted mean over the tokens of the global batch."""
        tokens = batch.tokens.to(self.device, non_blocking=True)
        labels = batch.labels.to(self.device, non_blocking=True)
        size, num_tokens = tokens.shape
        draws = self.draw(size * self.shares.world_size, num_tokens, rng)
        own = MaskingDraws(*(self.shares.mine(numbers) for numbers in astuple(draws))).to(self.device)
        mask_id, drop_prob = self.model.token_space.mask_id, self.model.config.class_dropout_prob
        masked = mask_tokens(tokens, mask_id, own, self.mask_schedule, drop_prob)
        mean_weight = mean(token_weights(masked.mask, self.losses).mean())
        for rows, share in self.shares.passes(size):
            logits = self.model(masked.tokens[rows], labels[rows], masked.drop[rows])
            loss = masked_token_loss(logits, tokens[rows], masked.mask[rows], self.losses, mean_weight)
            yield Turn(MODEL, loss._asdict(), share)
