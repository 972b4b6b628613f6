"""What the generator sees in training: partly masked tokens and, now and then, no class (specification 6)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from titok.config.sampling import MaskSchedule
from titok.generation.schedule import mask_ratio


@dataclass(frozen=True)
class MaskingDraws:
    """The uniform random numbers in [0, 1) behind one training batch."""

    progress: Tensor
    """(B,) how far through sampling each sample pretends to be."""
    order: Tensor
    """(B, K) decides which positions are masked."""
    drop: Tensor
    """(B,) decides whose class is dropped."""


@dataclass(frozen=True)
class MaskedTokens:
    """One training batch as the generator sees it."""

    tokens: Tensor
    """(B, K) int64 with mask ids."""
    mask: Tensor
    """(B, K) bool, true where a token is masked."""
    drop: Tensor
    """(B,) bool, true where the class is dropped."""


def draw_masking(batch_size: int, num_tokens: int, rng: torch.Generator) -> MaskingDraws:
    """Draws on the device of ``rng``, in the released code's order: progress, order, class dropping."""
    shapes = ((batch_size,), (batch_size, num_tokens), (batch_size,))
    return MaskingDraws(*(torch.rand(shape, generator=rng, device=rng.device) for shape in shapes))


def training_mask(progress: Tensor, order: Tensor, schedule: MaskSchedule) -> Tensor:
    """Mask (B, K) with round(K * mask_ratio(progress)) true entries per sample, at least one.

    Position j is masked where argsort(order)[j] is below the count. The rank of order[j] would mask as many positions
    with the same distribution, but other ones for given draws, and the published models were trained with this.
    """
    num_tokens = order.shape[1]
    ratio = mask_ratio(progress, schedule).clamp(1e-6, 1.0)
    counts = (num_tokens * ratio).round().clamp(min=1)
    # Stable: draws are multiples of 2**-24, and of 256 in a row two are equal once in 500 rows.
    return order.argsort(dim=-1, stable=True) < counts[:, None]


def mask_tokens(
    tokens: Tensor, mask_id: int, draws: MaskingDraws, schedule: MaskSchedule, class_dropout_prob: float
) -> MaskedTokens:
    """The training input for ``tokens`` (B, K): masked by ``draws``, classes dropped with the given probability."""
    mask = training_mask(draws.progress, draws.order, schedule)
    return MaskedTokens(tokens=torch.where(mask, mask_id, tokens), mask=mask, drop=draws.drop < class_dropout_prob)
