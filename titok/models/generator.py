"""MaskGIT transformers over latent tokens (paper section 3.3, specification 4).

Letters: B batch, K latent tokens, V codebook size, D width. A sequence is [class, K tokens]; the class position has no
output. Both kinds take and give the same shapes:

    tokens (B, K) with mask ids, labels (B,) or None, drop (B,) or None  ->  logits (B, K, V)

Where samples have lengths of their own, what comes after a sample's tokens is looked at by none of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from titok.config.generator_model import GeneratorModel
from titok.errors import ModelError
from titok.models.linear import Linear
from titok.models.token_space import TokenSpace, own_tokens
from titok.models.transformer import Block, PostNormBlock

_INIT_STD = 0.02
_BERT_NORM_EPS = 1e-12
_UVIT_NORM_EPS = 1e-5


class MaskGIT(nn.Module, ABC):
    """What both kinds share: the id space, the conditioning, the embedding table and the way to initialise."""

    def __init__(self, config: GeneratorModel) -> None:
        super().__init__()
        self.config = config
        self.token_space = TokenSpace(config.codebook_size, config.num_classes)
        self.num_tokens = config.num_tokens
        self.token_embedding = nn.Embedding(self.token_space.size, config.width)
        if config.has_lengths:
            # Beside the weights, so that whoever has the model knows how long its samples are.
            self.length_counts: Tensor
            self.register_buffer("length_counts", torch.zeros(config.num_classes, config.num_tokens, dtype=torch.int64))

    def forward(
        self, tokens: Tensor, labels: Tensor | None, drop: Tensor | None = None, lengths: Tensor | None = None
    ) -> Tensor:
        """Logits (B, K, V) for ``tokens`` (B, K) of the classes ``labels`` (B,).

        The class is `no class` where ``drop`` (B,) is true, and everywhere if ``labels`` is None. Of a sample with one
        of the ``lengths`` (B,), tokens after the first so many may be anything and decide nothing; their logits mean
        nothing.
        """
        if tokens.shape[1] != self.num_tokens:
            raise ValueError(
                f"tokens have shape {tuple(tokens.shape)}, but this generator reads {self.num_tokens} per sample; "
                f"use the tokenizer it was trained with"
            )
        if lengths is not None and not self.config.has_lengths:
            raise ValueError("samples have lengths, but this generator makes samples of one length; leave them out")
        seen = None if lengths is None else own_tokens(lengths, self.num_tokens)
        if seen is not None:
            tokens = torch.where(seen, tokens, self.token_space.mask_id)
            seen = torch.cat([seen.new_ones(len(seen), 1), seen], dim=1)
        if labels is None:
            condition = tokens.new_full((len(tokens),), self.token_space.null_class_id)
        else:
            condition = self.token_space.condition_ids(labels, drop)
        sequence = torch.cat([condition[:, None], tokens], dim=1)
        return self.head_logits(self.token_embedding(sequence), seen)

    def learn_lengths(self, lengths: np.ndarray | None, labels: np.ndarray) -> None:
        """Counts how long the codes are that the generator will learn from, by class.

        ``lengths`` (N, views) from 1 to K, of images of classes ``labels`` (N,); None: all have K. Raises `ModelError`
        where only one of generator and codes has lengths of its own.
        """
        if self.config.has_lengths != (lengths is not None):
            raise ModelError(
                f"has_lengths of the generator is {str(self.config.has_lengths).lower()}, but the tokens have "
                f"{'one length' if lengths is None else 'lengths of their own'}; tokenize again by the study's settings"
            )
        if lengths is not None:
            places = (torch.from_numpy(labels)[:, None], torch.from_numpy(lengths.astype(np.int64)) - 1)
            self.length_counts.zero_().index_put_(places, torch.ones_like(self.length_counts[0, 0]), accumulate=True)

    @abstractmethod
    def head_logits(self, embedded: Tensor, seen: Tensor | None = None) -> Tensor:
        """Logits (B, K, V) of the embedded sequence (B, 1 + K, D), of which positions ``seen`` (B, 1 + K) are looked
        at (None: all)."""

    def initialize_weights(self, draw: Callable[[Tensor], Tensor]) -> None:
        """Fills matrices and tables by ``draw`` (in place) and biases with 0; norms keep their 1 and 0."""
        for name, parameter in self.named_parameters():
            if parameter.ndim >= 2:
                draw(parameter)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)


class MaskGITViT(MaskGIT):
    """BERT: learned positions, a norm after each sub-layer, dropout (the published L-32 and B-64)."""

    def __init__(self, config: GeneratorModel) -> None:
        super().__init__(config)
        self.position_embedding = nn.Parameter(torch.empty(1 + config.num_tokens, config.width))
        # BERT's table for sentence pairs: row 0 is added everywhere and row 1 is never read, yet published
        # weights contain both.
        self.token_type_embedding = nn.Parameter(torch.empty(2, config.width))
        self.norm = nn.LayerNorm(config.width, eps=_BERT_NORM_EPS)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            PostNormBlock(
                config.width,
                config.num_heads,
                mlp_ratio=config.mlp_ratio,
                dropout=config.dropout,
                eps=_BERT_NORM_EPS,
            )
            for _ in range(config.depth)
        )
        self.head = Linear(config.width, config.codebook_size)
        # BERT's own: a plain normal everywhere.
        self.initialize_weights(lambda tensor: nn.init.normal_(tensor, std=_INIT_STD))

    def head_logits(self, embedded: Tensor, seen: Tensor | None = None) -> Tensor:
        """As `MaskGIT.head_logits`."""
        x = self.dropout(self.norm(embedded + self.position_embedding + self.token_type_embedding[0]))
        for block in self.blocks:
            x = block(x, seen)
        return self.head(x[:, 1:])


class MaskGITUViT(MaskGIT):
    """U-ViT: pre-norm blocks with long skips from the first half to the second (the published S-128)."""

    def __init__(self, config: GeneratorModel) -> None:
        super().__init__(config)
        half, width = config.depth // 2, config.width

        def block() -> Block:
            return Block(width, config.num_heads, mlp_ratio=config.mlp_ratio, qkv_bias=False, eps=_UVIT_NORM_EPS)

        self.position_embedding = nn.Parameter(torch.empty(1, 1 + config.num_tokens, width))
        self.in_blocks = nn.ModuleList(block() for _ in range(half))
        self.mid_block = block()
        self.skip_linears = nn.ModuleList(Linear(2 * width, width) for _ in range(half))
        self.out_blocks = nn.ModuleList(block() for _ in range(half))
        self.norm = nn.LayerNorm(width, eps=_UVIT_NORM_EPS)
        self.head = Linear(width, config.codebook_size)
        # Published: truncated at -2 and 2, so in effect a plain normal, too.
        self.initialize_weights(lambda tensor: nn.init.trunc_normal_(tensor, std=_INIT_STD))

    def head_logits(self, embedded: Tensor, seen: Tensor | None = None) -> Tensor:
        """As `MaskGIT.head_logits`."""
        x = embedded + self.position_embedding
        skips = []
        for block in self.in_blocks:
            x = block(x, seen)
            skips.append(x)
        x = self.mid_block(x, seen)
        for skip_linear, block in zip(self.skip_linears, self.out_blocks, strict=True):
            x = block(skip_linear(torch.cat([x, skips.pop()], dim=-1)), seen)
        return self.head(self.norm(x)[:, 1:])


def build_generator(config: GeneratorModel) -> MaskGIT:
    """The generator that ``config`` describes, freshly initialised."""
    return MaskGITViT(config) if config.kind == "vit" else MaskGITUViT(config)
