"""The generator learns to fill in masked tokens (paper section 3.3, spec section 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple

import torch
from torch import Tensor

from titok.config.sampling import MaskSchedule
from titok.config.training import MaskedTokenLosses, Training
from titok.data.tokens import TokenBatch
from titok.generation.masking import MaskingDraws, draw_masking, mask_tokens
from titok.losses.masked_token import masked_token_loss
from titok.models.generator import MaskGIT
from titok.training.optimizer import Player
from titok.training.task import MODEL, Task

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

    def updates(self, batch: TokenBatch, step: int, rng: torch.Generator) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """Mask, predict, one update."""
        tokens = batch.tokens.to(self.device, non_blocking=True)
        labels = batch.labels.to(self.device, non_blocking=True)
        batch_size, num_tokens = tokens.shape
        draws = self.draw(batch_size, num_tokens, rng)
        on_device = MaskingDraws(*(numbers.to(self.device, non_blocking=True) for numbers in astuple(draws)))
        mask_id, drop_prob = self.model.token_space.mask_id, self.model.config.class_dropout_prob
        masked = mask_tokens(tokens, mask_id, on_device, self.mask_schedule, drop_prob)
        logits = self.model(masked.tokens, labels, masked.drop)
        yield MODEL, masked_token_loss(logits, tokens, masked.mask, self.losses)._asdict()
