"""The generator's loss: which token stands behind the mask (spec section 6)."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from titok.config.training import MaskedTokenLosses

# The released code's guard against division by zero.
_EPSILON = 1e-8


class MaskedTokenLoss(NamedTuple):
    """Two scalars."""

    loss: Tensor
    accuracy: Tensor
    """Share of masked tokens whose best guess is right: per sample, then the batch mean; 0 for samples without."""


def masked_token_loss(logits: Tensor, targets: Tensor, mask: Tensor, weights: MaskedTokenLosses) -> MaskedTokenLoss:
    """Label-smoothed cross entropy of ``logits`` (B, K, V) against the unmasked ``targets`` (B, K).

    Masked positions (``mask`` (B, K) true) weigh 1, the others ``weights.unmasked_weight``; the weighted mean is taken
    over the whole batch, so samples with more masked tokens count more. Computed in float32.
    """
    entropy = F.cross_entropy(
        logits.float().transpose(1, 2), targets, reduction="none", label_smoothing=weights.label_smoothing
    )
    masked = mask.float()
    token_weights = masked + (1 - masked) * weights.unmasked_weight
    loss = (token_weights * entropy).sum() / (token_weights.sum() + _EPSILON)
    correct = (logits.detach().argmax(dim=-1) == targets).float() * masked
    accuracy = (correct.sum(dim=1) / (masked.sum(dim=1) + _EPSILON)).mean()
    return MaskedTokenLoss(loss, accuracy)
