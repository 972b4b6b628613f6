"""The generator's loss: which token stands behind the mask (specification 6)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from titok.config.training import MaskedTokenLosses
from titok.runtime.search import argmax

# The released code's guard against division by zero.
_EPSILON = 1e-8


class MaskedTokenLoss(NamedTuple):
    """Two scalars."""

    loss: Tensor
    accuracy: Tensor
    """Share of masked tokens whose best guess is right: per sample, then the batch mean; 0 for samples without."""


def token_weights(mask: Tensor, weights: MaskedTokenLosses, own: Tensor | None = None) -> Tensor:
    """(B, K): 1 where ``mask`` (B, K) is true, ``weights.unmasked_weight`` elsewhere; 0 where ``own`` is false."""
    masked = mask.float()
    found = masked + (1 - masked) * weights.unmasked_weight
    return found if own is None else found * own


def masked_token_loss(
    logits: Tensor,
    targets: Tensor,
    mask: Tensor,
    weights: MaskedTokenLosses,
    mean_weight: Tensor | None = None,
    own: Tensor | None = None,
) -> MaskedTokenLoss:
    """Label-smoothed cross entropy of ``logits`` (B, K, V) against the unmasked ``targets`` (B, K).

    Masked positions (``mask`` (B, K) true) weigh 1, the others ``weights.unmasked_weight``; the weighted mean is taken
    over the whole batch, so samples with more masked tokens count more. Where these are only some rows of it,
    ``mean_weight`` is the mean weight of a token in all rows: then the mean of the parts' losses is the batch's.
    Where samples have tokens of their own alone (``own`` (B, K)), the mean is over these; whatever else stands in
    ``targets`` counts nothing. Computed in float32.
    """
    if own is not None:
        targets = targets * own
    with torch.autocast(logits.device.type, enabled=False):
        # Flat: along another dimension than the last a softmax takes three times as long.
        entropy = F.cross_entropy(
            logits.float().flatten(0, 1),
            targets.flatten(),
            reduction="none",
            label_smoothing=weights.label_smoothing,
        ).view(targets.shape)
        weight = token_weights(mask, weights, own)
        total = weight.sum() if mean_weight is None else mean_weight * mask.numel()
        loss = (weight * entropy).sum() / (total + _EPSILON)
        masked = mask.float()
        correct = (argmax(logits.detach()) == targets).float() * masked
        accuracy = (correct.sum(dim=1) / (masked.sum(dim=1) + _EPSILON)).mean()
    return MaskedTokenLoss(loss, accuracy)
