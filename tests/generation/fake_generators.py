"""Generators of a few lines for tests of the sampling loop."""

from __future__ import annotations

import torch
from torch import Tensor

from titok.models.token_space import TokenSpace


class TableGenerator:
    """Logits that depend on the position, the class and how many tokens are masked; remembers the calls."""

    training = False

    def __init__(self, num_tokens: int = 6, codebook_size: int = 9, num_classes: int = 3, seed: int = 0) -> None:
        rng = torch.Generator().manual_seed(seed)
        self.token_space = TokenSpace(codebook_size, num_classes)
        self.num_tokens = num_tokens
        self.by_class = torch.randn(num_classes + 1, num_tokens, codebook_size, generator=rng)
        self.by_count = torch.randn(num_tokens + 1, num_tokens, codebook_size, generator=rng)
        self.batch_sizes: list[int] = []

    def __call__(self, tokens: Tensor, labels: Tensor, drop: Tensor | None = None) -> Tensor:
        self.batch_sizes.append(len(tokens))
        classes = labels if drop is None else torch.where(drop, self.token_space.num_classes, labels)
        masked = (tokens == self.token_space.mask_id).sum(dim=1)
        return self.by_class[classes] + self.by_count[masked]
