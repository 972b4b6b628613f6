"""What the verbs, scores and generators ask of a tokenizer, whatever it is inside."""

from __future__ import annotations

from typing import Any, Protocol, TypeGuard, runtime_checkable

from torch import Tensor

from titok.models.tokenizer import TiTok


@runtime_checkable
class ImageTokenizer(Protocol):
    """Images to tokens and back. `TiTok` and `VQGAN` are two; docs/extending.md says how to add another.

    ``config`` is a `titok.config.section.Section`. Two of its fields are looked at, where it has them:
    ``codebook_size`` (V) for scores of the codebook and limits of tokens, and ``image_size`` for models that take
    square images of one size only.
    """

    config: Any

    def encode(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] to latents (B, K, E) before quantisation."""
        ...

    def tokenize(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] to tokens (B, K) int64."""
        ...

    def detokenize(self, tokens: Tensor) -> Tensor:
        """Tokens (B, K) to images (B, 3, H, W), clamped or not."""
        ...


def is_vae(model: ImageTokenizer) -> TypeGuard[TiTok]:
    """Whether it has continuous latents instead of tokens."""
    return isinstance(model, TiTok) and model.config.kind == "vae"


def codebook_size_of(model: ImageTokenizer) -> int | None:
    """V; None for continuous latents, and where the settings do not say."""
    return None if is_vae(model) else getattr(model.config, "codebook_size", None)
