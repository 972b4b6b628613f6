"""What the generator sees in training: partly masked tokens and, now and then, no class (specification 6)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from titok.config.sampling import MaskSchedule
from titok.generation.schedule import mask_ratio
from titok.models.token_space import own_tokens


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


def training_mask(progress: Tensor, order: Tensor, schedule: MaskSchedule, lengths: Tensor | None = None) -> Tensor:
    """Mask (B, K) with round(K * mask_ratio(progress)) true entries per sample, at least one.

    Of samples with ``lengths`` (B,) each has its own K: entries after its first so many are false.

    Position j is masked where argsort(order)[j] is below the count. The rank of order[j] would mask as many positions
    with the same distribution, but other ones for given draws, and the published models were trained with this.
    """
    ratio = mask_ratio(progress, schedule).clamp(1e-6, 1.0)
    num_tokens = order.shape[1] if lengths is None else lengths
    counts = (num_tokens * ratio).round().clamp(min=1)
    if lengths is not None:  # what is not the sample's own comes last, so that its own are ordered among themselves
        order = order.masked_fill(~own_tokens(lengths, order.shape[1]), torch.inf)
    # Stable: draws are multiples of 2**-24, and of 256 in a row two are equal once in 500 rows.
    return order.argsort(dim=-1, stable=True) < counts[:, None]


def mask_tokens(
    tokens: Tensor,
    mask_id: int,
    draws: MaskingDraws,
    schedule: MaskSchedule,
    class_dropout_prob: float,
    lengths: Tensor | None = None,
) -> MaskedTokens:
    """The training input for ``tokens`` (B, K): masked by ``draws``, classes dropped with the given probability.

    Of samples with ``lengths`` (B,) only their own tokens are.
    """
    mask = training_mask(draws.progress, draws.order, schedule, lengths)
    return MaskedTokens(tokens=torch.where(mask, mask_id, tokens), mask=mask, drop=draws.drop < class_dropout_prob)
