"""The ids a masked generator reads: codes, the mask, the classes, and `no class` (specification 4.1).

    0 .. V-1      codes of the tokenizer
    V             mask
    V+1 .. V+C    class c is V+1+c
    V+C+1         no class

V is the codebook size, C the number of classes. Nothing else in the library adds offsets to ids.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenSpace:
    """Ids of a generator with V codes and C classes."""

    codebook_size: int
    num_classes: int

    @property
    def mask_id(self) -> int:
        """Stands where a token is still unknown."""
        return self.codebook_size

    @property
    def null_class_id(self) -> int:
        """Stands for `no class`, the condition of the unconditional half of guidance."""
        return self.codebook_size + self.num_classes + 1

    @property
    def size(self) -> int:
        """Number of ids, the rows of the generator's embedding table."""
        return self.codebook_size + self.num_classes + 2

    def class_id(self, labels: Tensor) -> Tensor:
        """Ids (...) of the classes ``labels`` (...), which count from 0."""
        return labels + (self.codebook_size + 1)

    def condition_ids(self, labels: Tensor, drop: Tensor | None = None) -> Tensor:
        """Ids (B,) of ``labels`` (B,), replaced by `no class` where ``drop`` (B,) is true."""
        ids = self.class_id(labels)
        return ids if drop is None else torch.where(drop, self.null_class_id, ids)


def own_tokens(lengths: Tensor, num_tokens: int) -> Tensor:
    """(B, K): true at the first ``lengths`` (B,) of K = ``num_tokens`` positions."""
    return torch.arange(num_tokens, device=lengths.device) < lengths[:, None]
