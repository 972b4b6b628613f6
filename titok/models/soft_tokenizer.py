"""A frozen encoder as a tokenizer: its tokens, perhaps averaged to fewer, and a decoder of ours back to pixels.

RAE (arXiv 2510.11690) in the shape of TiTok: the decoder reads K tokens of width E beside mask tokens for the patches.
Letters: B batch, N tokens of the encoder, K after averaging, E their width.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from titok.config.soft_tokens import FrozenEncoder, SoftModel
from titok.errors import ModelError
from titok.models.classifier import Classifier
from titok.models.decoder import Decoder
from titok.models.image_tokenizer import Ids, ImageTokenizer, Reconstruction, TokenFacts, no_ids, require_side
from titok.models.quantizer import GaussianPosterior
from titok.models.soft_tokens import SoftTokens, empty_network, merged, tokens_of
from titok.models.vqgan import VQGANEncoder, to_rows

_POINT = -30.0
"""Log-variance of latents without noise: the least that a posterior has."""


class ClassifierTokens(nn.Module):
    """The places of a classifier's last map, 4 x 4 of them, as tokens."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.places = classifier.stages[:-1]  # without flattening them

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] to (B, 16, C), raster order."""
        return tokens_of(self.places, self.places(images * 2 - 1))


class GridTokens(nn.Module):
    """What a VQGAN's encoder gives its codebook."""

    def __init__(self, encoder: VQGANEncoder) -> None:
        super().__init__()
        self.network = encoder

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] to (B, P, E), raster order."""
        return to_rows(self.network(images))


def build_encoder(settings: FrozenEncoder) -> nn.Module:
    """Images (B, 3, H, W) in [0, 1] to tokens (B, N, E); weights are random until somebody fills them."""
    if settings.timm is not None:
        network: Any = empty_network(settings.timm)
        network.reset_classifier(0)  # no token comes from there
        return SoftTokens(settings.timm, network)
    if settings.vqgan is not None:
        return GridTokens(VQGANEncoder(settings.vqgan))
    assert settings.classifier is not None, "the settings have one of the three"
    return ClassifierTokens(Classifier(settings.classifier))


class SoftTokenizer(ImageTokenizer):
    """Frozen encoder and trained decoder. Model folders hold both, so that one opens without the encoder's own file."""

    config: SoftModel

    def __init__(self, config: SoftModel) -> None:
        super().__init__()
        self.config = config
        self.decoder = Decoder(config.of_decoder())
        with torch.random.fork_rng(devices=[]):  # its random weights are replaced, and move nobody else's
            self.encoder = build_encoder(config.encoder)
        self.encoder.requires_grad_(False)
        self.encoder.eval()

    def train(self, mode: bool = True) -> Self:
        """The encoder stays in eval mode, where its statistics do not move."""
        super().train(mode)
        self.encoder.eval()
        return self

    @property
    def facts(self) -> TokenFacts:
        """K vectors and no ids."""
        return TokenFacts(self.config.image_size, self.config.num_latent_tokens, codebook_size=None)

    @property
    def numbers(self) -> int:
        """In the tokens of an image that the decoder reads."""
        return self.config.num_latent_tokens * self.config.encoder.width

    @property
    def readable(self) -> frozenset[str]:
        """The bottleneck, and all of the encoder's tokens as they come (`width`)."""
        return frozenset({"bottleneck", "width"})

    @torch.no_grad()
    def read(self, images: Tensor, wanted: Collection[str]) -> dict[str, Tensor]:
        """Features (B, K, E), of ``width`` (B, N, E), from one pass."""
        require_side(images, self.config.image_size)
        tokens = self.encoder(images)
        few = tokens if self.config.num_latent_tokens == tokens.shape[1] else self._merged(tokens)
        latents = F.layer_norm(few, few.shape[-1:]) if self.config.normalise else few
        return {"bottleneck": latents, "width": tokens}

    def _merged(self, tokens: Tensor) -> Tensor:
        return merged(tokens, self.config.num_latent_tokens)

    def encode(self, images: Tensor) -> Tensor:
        """Images to tokens (B, K, E), without gradient: what the decoder reads."""
        return self.read(images, ())["bottleneck"]

    def posterior(self, images: Tensor) -> GaussianPosterior:
        """Of no width: the tokens themselves, as nearly as a Gaussian can say it."""
        latents = self.encode(images)
        return GaussianPosterior(torch.cat([latents, torch.full_like(latents, _POINT)], dim=-1))

    def decode(self, latents: Tensor) -> Tensor:
        """Tokens (B, K, E) to images (B, 3, H, W), not clamped."""
        wanted = (self.config.num_latent_tokens, self.config.encoder.width)
        if latents.shape[1:] != wanted:
            raise ModelError(f"latents are {tuple(latents.shape)}, this decoder reads (B, {wanted[0]}, {wanted[1]})")
        return self.decoder(latents)

    def tokenize(self, images: Tensor) -> Ids:
        """`ModelError`: there are no ids."""
        raise no_ids(self, "tokenize")

    def detokenize(self, ids: Ids) -> Tensor:
        """`ModelError`: there are no ids."""
        raise no_ids(self, "detokenize")

    def reconstruct(self, images: Tensor, noise: Tensor | None = None) -> Reconstruction:
        """Images to tokens and back, not clamped; it uses no noise."""
        return Reconstruction(self.decode(self.encode(images)))
