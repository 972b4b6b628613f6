"""The generator learns to fill in masked tokens (paper section 3.3, specification 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple
from typing import NamedTuple

import torch
from torch import Tensor

from titok.config.sampling import MaskSchedule
from titok.config.training import MaskedTokenLosses, Training
from titok.data.tokens import TokenBatch
from titok.generation.masking import MaskingDraws, draw_masking, mask_tokens
from titok.losses.masked_token import masked_token_loss, token_weights
from titok.models.generator import MaskGIT
from titok.models.token_space import own_tokens
from titok.runtime.processes import mean
from titok.runtime.transfers import sent
from titok.training.optimizer import Player
from titok.training.task import MODEL, Task, Turn

Draw = Callable[[int, int, torch.Generator], MaskingDraws]
"""(batch size, K, the step's generator) -> the random numbers of one batch."""


class DrawnTokens(NamedTuple):
    """A batch with the random numbers behind its masks, all of this process's rows; see `MaskingDraws`."""

    tokens: Tensor
    labels: Tensor
    progress: Tensor
    order: Tensor
    drop: Tensor
    lengths: Tensor
    """(B,): how many of its K tokens each image has."""


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

    def with_draws(self, batch: TokenBatch | DrawnTokens, step: int, rng: torch.Generator) -> DrawnTokens:
        """Drawn for the global batch."""
        if isinstance(batch, DrawnTokens):
            return batch
        size, num_tokens = batch.tokens.shape
        draws = self.draw(size * self.shares.world_size, num_tokens, rng)
        lengths = batch.labels.new_full((size,), num_tokens) if batch.lengths is None else batch.lengths
        progress, order, drop = (self.shares.mine(numbers) for numbers in astuple(draws))
        return DrawnTokens(batch.tokens, batch.labels, progress, order, drop, lengths)

    def updates(self, batch: TokenBatch | DrawnTokens, step: int, rng: torch.Generator) -> Iterator[Turn]:
        """Mask, predict, one update; the loss is the weighted mean over the tokens of the global batch.

        Where images have fewer than K tokens, over those that they have.
        """
        drawn = DrawnTokens(*(sent(part, self.device) for part in self.with_draws(batch, step, rng)))
        tokens, labels = drawn.tokens, drawn.labels
        draws = MaskingDraws(drawn.progress, drawn.order, drawn.drop)
        mask_id, config = self.model.token_space.mask_id, self.model.config
        lengths = drawn.lengths if config.has_lengths else None
        own = None if lengths is None else own_tokens(lengths, tokens.shape[1])
        masked = mask_tokens(tokens, mask_id, draws, self.mask_schedule, config.class_dropout_prob, lengths)
        mean_weight = mean(token_weights(masked.mask, self.losses, own).mean())
        for rows, share in self.shares.passes(len(tokens)):
            of_rows, own_of_rows = (None if part is None else part[rows] for part in (lengths, own))
            logits = self.model(masked.tokens[rows], labels[rows], masked.drop[rows], lengths=of_rows)
            loss = masked_token_loss(logits, tokens[rows], masked.mask[rows], self.losses, mean_weight, own_of_rows)
            yield Turn(MODEL, loss._asdict(), share)
