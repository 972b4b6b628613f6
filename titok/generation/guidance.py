"""Classifier-free guidance with one formula: logits = cond + s * (cond - uncond); s = 0 is off (specification 5)."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from titok.models.token_space import TokenSpace


class TokenGenerator(Protocol):
    """What sampling asks of a generator; `models.generator` has two."""

    token_space: TokenSpace
    num_tokens: int

    def __call__(
        self, tokens: Tensor, labels: Tensor, drop: Tensor | None = None, lengths: Tensor | None = None
    ) -> Tensor:
        """Logits (B, K, V) for tokens (B, K) and labels (B,), taken as `no class` where ``drop`` (B,) is true.

        Of samples with ``lengths`` (B,), what comes after the first so many tokens decides nothing.
        """
        ...


def guided_logits(
    generator: TokenGenerator, tokens: Tensor, labels: Tensor, scale: float, lengths: Tensor | None = None
) -> Tensor:
    """Logits (B, K, V) in float32 for ``tokens`` (B, K) of the classes ``labels`` (B,).

    Both halves go through the generator as one batch of 2B; at scale 0 the second half is not computed.
    """
    if scale == 0:
        own = {} if lengths is None else {"lengths": lengths}
        return generator(tokens, labels, **own).float()
    drop = torch.arange(2 * len(tokens), device=tokens.device) >= len(tokens)
    twice = {} if lengths is None else {"lengths": lengths.repeat(2)}
    both = generator(tokens.repeat(2, 1), labels.repeat(2), drop, **twice).float()
    conditional, unconditional = both.chunk(2)
    return conditional + scale * (conditional - unconditional)
