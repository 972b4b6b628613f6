"""The generator as settings: what a person chooses of a MaskGIT transformer, and the whole model.

Defaults are the published ones (paper section 3.3 and the released configs). Letters: K latent tokens, V codebook size.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import model_validator

from titok.config.section import Fraction, Neutral, PositiveFloat, PositiveInt, Section


class GeneratorShape(Section):
    """What a person chooses of a MaskGIT transformer; the rest follows from its tokenizer and dataset."""

    kind: Literal["vit", "uvit"] = "vit"
    """`vit` is BERT-style, post-norm (L-32, B-64); `uvit` has long skips, pre-norm (S-128)."""
    width: PositiveInt = 768
    depth: PositiveInt = 24
    """Blocks; a uvit with depth 20 has 10 + 1 + 10 = 21."""
    num_heads: PositiveInt = 16
    mlp_ratio: PositiveFloat = 4.0
    dropout: Fraction = 0.1
    """On embeddings, attention probabilities and sub-layer outputs of the vit; the published uvit ignores it."""
    class_dropout_prob: Fraction = 0.1
    """How often training replaces the class by `no class`, for guidance."""

    @model_validator(mode="after")
    def _shapes_fit(self) -> Self:
        if self.width % self.num_heads:
            raise ValueError(
                f"num_heads is {self.num_heads}, which does not divide width {self.width}; "
                f"choose a divisor of the width"
            )
        if self.kind == "uvit" and self.depth % 2:
            raise ValueError(
                f"depth is {self.depth}; a uvit needs an even depth (equal halves around the middle block)"
            )
        return self


class GeneratorModel(GeneratorShape):
    """MaskGIT transformer over latent tokens, conditioned on a class (paper section 3.3)."""

    num_tokens: PositiveInt = 32
    """K of the tokenizer."""
    codebook_size: PositiveInt = 4096
    """V of the tokenizer."""
    num_classes: PositiveInt = 1000
    has_lengths: Annotated[bool, Neutral(False)] = False
    """Whether samples may have fewer than K tokens, as many as images of their class (docs/adaptive_length.md)."""
