"""What every tokenizer of images can do, whatever it is inside: the one door for verbs, scores, tasks and generators.

`TiTok` and `VQGAN` are two; docs/extending.md says how to add another. Letters: B batch, K ids of an image, V codebook
size, E code size. Images are (B, 3, H, W) in [0, 1].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Sequence
from math import log2
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from titok.config.section import Section
from titok.errors import ModelError
from titok.models.backbone import Backbone
from titok.models.quantizer import GaussianPosterior


class Ids(NamedTuple):
    """The ids that images became."""

    values: Tensor
    """(B, K) int64 in [0, V). Of an image with fewer than K, the rest is 0 and means nothing."""
    lengths: Tensor | None = None
    """(B,) int64, how many ids each image has; None: all have K."""

    def to(self, device: torch.device | str) -> Ids:
        """The same on another device."""
        return Ids(self.values.to(device), None if self.lengths is None else self.lengths.to(device))

    def counted(self) -> Tensor:
        """(N,) int64: the ids of all images, one image after the other, without what means nothing."""
        if self.lengths is None:
            return self.values.flatten()
        places = torch.arange(self.values.shape[1], device=self.values.device)
        return self.values[places < self.lengths[:, None]]

    def of_one_length(self) -> Tensor:
        """(B, K): the values, for who can only use equally many ids of every image; else raises `ModelError`."""
        if self.lengths is not None and bool((self.lengths != self.values.shape[1]).any()):
            few, many = int(self.lengths.min()), int(self.lengths.max())
            raise ModelError(
                f"images have {few} to {many} ids, but equally many of each are needed here; take a tokenizer "
                f"of one length"
            )
        return self.values

    def decoded(self, decode: Callable[[Tensor], Tensor]) -> Tensor:
        """Images (B, 3, H, W) by ``decode`` of ids (B', K) of one length, which is given each length there is."""
        if self.lengths is None:
            return decode(self.values)
        found: Tensor | None = None
        for length in self.lengths.unique().tolist():
            rows = self.lengths == length
            images = decode(self.values[rows, :length])
            found = images.new_zeros(len(self.values), *images.shape[1:]) if found is None else found
            found[rows] = images
        return decode(self.values) if found is None else found


class Reconstruction(NamedTuple):
    """Images through a tokenizer and back, with what they were in between."""

    images: Tensor
    """(B, 3, H, W), not clamped."""
    ids: Ids | None = None
    """None where there are none: continuous latents, codecs."""
    posterior: GaussianPosterior | None = None
    """Of continuous latents."""


class Coded(NamedTuple):
    """Images at one of several lengths."""

    vectors: Tensor
    """(B, K, E): what `ImageTokenizer.decode` reads."""
    ids: Tensor | None
    """(B, K) int64; None where latents are continuous."""


Codes: TypeAlias = Generator[Coded, Tensor, None]
"""Images at growing lengths, each computed when it is asked for; sent which of the images (B,) bool stay."""


def bits_of(num_ids: float, codebook_size: int, num_lengths: int) -> float:
    """Of so many ids and, where there are several lengths, of telling which one it is; without entropy coding."""
    return num_ids * log2(codebook_size) + log2(max(num_lengths, 1))


def bottleneck_at(length: int) -> str:
    """What `ImageTokenizer.read` calls the bottleneck of a code of so many ids, where there are several lengths."""
    return f"bottleneck@{length}"


class TokenFacts(NamedTuple):
    """What is known of a tokenizer without running it."""

    image_size: int | None
    """Side of the square images that it takes; None: any."""
    most_tokens: int | None
    """K, of the image that has the most; None where the image's size decides."""
    codebook_size: int | None
    """V; None: continuous latents, no ids."""
    has_lengths: bool = False
    """Whether `ImageTokenizer.tokenize` gives images fewer ids than ``most_tokens``."""
    noise_shape: tuple[int, ...] | None = None
    """Of the standard normal noise of one image that `ImageTokenizer.reconstruct` can use; None: it uses none."""
    lengths: tuple[int, ...] = ()
    """Numbers of ids, from few to ``most_tokens``, that a choice of length can give an image; empty: there is none."""
    is_nested: bool = False
    """Whether a short code is the beginning of a long one, so that a choice may leave lengths out."""

    @property
    def is_discrete(self) -> bool:
        """Whether there are ids."""
        return self.codebook_size is not None

    def bits(self, num_tokens: float | None = None) -> float | None:
        """Of so many ids, or else of an image with the most; None where that is unknown or there are no ids.

        Where there are several lengths, the bits that tell which one it is are among them.
        """
        count = self.most_tokens if num_tokens is None else num_tokens
        if count is None or self.codebook_size is None:
            return None
        return bits_of(count, self.codebook_size, len(self.lengths))


class Attending(NamedTuple):
    """Two transformers over [class, patches, latent tokens], in which tokens and patches look at each other."""

    encoder: Backbone
    decoder: Backbone
    grid_size: int
    """Patches along a side."""
    run: Callable[[Tensor], object]
    """Puts every code of images (B, 3, H, W) through both once, the shortest first."""


class ImageTokenizer(nn.Module, ABC):
    """Images to ids and back.

    A bottleneck of continuous latents (KL) has no ids: there `tokenize` and `detokenize` raise `ModelError`, and
    `posterior` and `decode` take their place; `reconstruct` serves both.
    """

    config: Section
    """From which alone it builds."""

    @property
    @abstractmethod
    def facts(self) -> TokenFacts:
        """What is known of it without running it."""

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Images to latents (B, K, E) before the bottleneck, which probes read; raises `ModelError` for other sizes."""

    @property
    def readable(self) -> frozenset[str]:
        """Where a probe may read features: the bottleneck, and what else `read` knows."""
        return frozenset({"bottleneck"})

    def read(self, images: Tensor, wanted: Collection[str]) -> dict[str, Tensor]:
        """Features of images, each (B, K, E) or wider, from one pass; at least those ``wanted`` of ``readable``.

        Of the lengths in ``facts``, ``bottleneck_at`` each is one, too.
        """
        return {"bottleneck": self.encode(images)}

    @property
    def attending(self) -> Attending | None:
        """Its transformers; None for one without latent tokens that look at patches."""
        return None

    @abstractmethod
    def tokenize(self, images: Tensor) -> Ids:
        """Images to ids, without gradient."""

    @abstractmethod
    def detokenize(self, ids: Ids) -> Tensor:
        """Ids to images, clamped or not."""

    def reconstruct(self, images: Tensor, noise: Tensor | None = None) -> Reconstruction:
        """Images through the bottleneck and back.

        ``noise`` (B, *facts.noise_shape) samples continuous latents; without it their mean is decoded.
        """
        ids = self.tokenize(images)
        return Reconstruction(self.detokenize(ids), ids)

    def codes(self, images: Tensor, lengths: Sequence[int]) -> Codes:
        """Images at each of ``lengths``, from few to many, which are those of ``facts`` or, of nested codes, some.

        Raises `ModelError` where there is one length.
        """
        raise ModelError(
            f"a {type(self).__name__} has codes of one length; docs/adaptive_length.md says which tokenizers have more"
        )

    def posterior(self, images: Tensor) -> GaussianPosterior:
        """The distribution of continuous latents, each (B, K, E); `ModelError` where there are ids instead."""
        raise ModelError(f"this {type(self).__name__} turns images into ids and has no posterior; use tokenize")

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (B, K, E), as they come out of the bottleneck, to images (B, 3, H, W), not clamped."""
        raise ModelError(f"this {type(self).__name__} decodes ids and no latents; use detokenize")


def require_side(images: Tensor, side: int) -> None:
    """Raises `ModelError` for images other than (B, 3, side, side)."""
    if images.shape[1:] != (3, side, side):
        raise ModelError(
            f"images have shape {tuple(images.shape)}, this tokenizer needs (B, 3, {side}, {side}); "
            f"resize and crop them first, or set image_size"
        )


def no_ids(model: ImageTokenizer, operation: str) -> ModelError:
    """What `tokenize` and `detokenize` of continuous latents raise."""
    return ModelError(
        f"{operation} needs ids, and this {type(model).__name__} has none: its latents are continuous. "
        f"Use posterior(images).mean for latents and decode(latents) for images"
    )
