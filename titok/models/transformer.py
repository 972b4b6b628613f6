"""Transformer blocks shared by the tokenizer's encoder and decoder and by the generators.

Parameters are named as in timm's vision transformer (``norm1``, ``attn.qkv``, ``attn.proj``, ``norm2``, ``mlp.fc1``,
``mlp.fc2``), which is also what a test compares with. Sequences are (B, N, D): batch, tokens, width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from titok.models.linear import Linear


class Attention(nn.Module):
    """Multi-head self-attention over all tokens, or those that may be looked at; scale 1/sqrt(head width).

    ``qkv`` packs the three projections: its output rows are all queries, then all keys, then all values.
    ``dropout`` acts on the attention probabilities, in training mode only.
    """

    def __init__(self, width: int, num_heads: int, *, qkv_bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        if width % num_heads:
            raise ValueError(f"num_heads is {num_heads}, which does not divide width {width}")
        self.num_heads = num_heads
        self.dropout = dropout
        self.qkv = Linear(width, 3 * width, bias=qkv_bias)
        self.proj = Linear(width, width)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """(B, N, D) to (B, N, D); ``seen`` (B, N) is true where a token may be looked at (None: everywhere)."""
        batch, length, width = x.shape
        query, key, value = self._projected(x)
        mask = None if seen is None else seen[:, None, None]
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=self.dropout if self.training else 0.0
        )
        return self.proj(mixed.transpose(1, 2).reshape(batch, length, width))

    def weights(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, N): how much each token looks at each, averaged over heads; rows add up to 1."""
        query, key, _ = self._projected(x)
        return (query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5).softmax(dim=-1).mean(dim=1)

    def _projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, heads, N, D / heads)."""
        batch, length, width = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.num_heads, width // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        return query, key, value


class Mlp(nn.Module):
    """Two linear layers with an exact (erf) GELU between them, applied to each token."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        return self.fc2(F.gelu(self.fc1(x)))


class TransformerBlock(nn.Module, ABC):
    """A block that can do without the memory of its activations: the backward pass computes them again."""

    recompute = False

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """(B, N, D) to (B, N, D); ``seen`` as in `Attention.forward`."""
        if self.recompute and torch.is_grad_enabled():
            return cast(Tensor, checkpoint(self.transform, x, seen, use_reentrant=False))
        return self.transform(x, seen)

    @abstractmethod
    def transform(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """What the block computes."""


class Block(TransformerBlock):
    """Pre-norm block: x + attn(norm1(x)), then x + mlp(norm2(x))."""

    def __init__(
        self, width: int, num_heads: int, *, mlp_ratio: float = 4.0, qkv_bias: bool = True, eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, num_heads, qkv_bias=qkv_bias)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, int(width * mlp_ratio))

    def transform(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        x = x + self.attn(self.norm1(x), seen)
        return x + self.mlp(self.norm2(x))


class PostNormBlock(TransformerBlock):
    """BERT's block: norm1(x + drop(attn(x))), then norm2(x + drop(mlp(x))).

    ``dropout`` acts on the attention probabilities and on both sub-layer outputs, in training mode only.
    """

    def __init__(
        self, width: int, num_heads: int, *, mlp_ratio: float = 4.0, dropout: float = 0.0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.attn = Attention(width, num_heads, dropout=dropout)
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, int(width * mlp_ratio))
        self.norm2 = nn.LayerNorm(width, eps=eps)

    def transform(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        x = self.norm1(x + F.dropout(self.attn(x, seen), self.dropout, self.training))
        return self.norm2(x + F.dropout(self.mlp(x), self.dropout, self.training))
