"""ALIT's encoder and decoder: latent tokens join in batches, and all of them are written again at every iteration.

Duggal et al. 2024 (docs/adaptive_length.md). Letters: B batch, P positions of the base's grid, n tokens that an
iteration adds, K tokens so far, D width, E channels of the base's features.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from titok.config.alit import AlitModel
from titok.models.backbone import Backbone, scaled_normal
from titok.models.linear import Linear
from titok.models.vqgan import to_rows


class State(NamedTuple):
    """A batch on its way: what the encoder made of it by the end of an iteration."""

    iteration: int
    """Counted from 0."""
    sequence: Tensor
    """(B, 1 + P + K, D): class token, grid tokens, latent tokens, the oldest first; K = n * (iteration + 1)."""

    def of(self, rows: Tensor) -> State:
        """Only those images, by number (B',) or mask (B,)."""
        return self._replace(sequence=self.sequence[rows])


class RecurrentEncoder(Backbone):
    """The same blocks at every iteration, over everything that the last one left and n new latent tokens."""

    def __init__(self, config: AlitModel) -> None:
        size, added = config.transformer, config.tokens_per_iteration
        super().__init__(size, config.grid_size**2, added)
        self.num_patches = config.grid_size**2
        pixels = config.vqgan.downsampling
        self.patch_embed = nn.Conv2d(3, size.width - config.vqgan.code_dim, pixels, stride=pixels)
        self.mask_token = scaled_normal(1, 1, size.width)
        self.latent_tokens = scaled_normal(added, size.width)
        # All that tells the tokens of one iteration from those of another.
        self.iteration_embedding = scaled_normal(config.iterations, added, size.width)
        self.norm_recursive = nn.LayerNorm(size.width)
        self.to_latent = Linear(size.width, config.code_dim) if config.latents != "unprojected" else nn.Identity()
        self.init_published()

    def grid_tokens(self, features: Tensor, images: Tensor) -> Tensor:
        """Features of the base (B, P, E) and images (B, 3, H, W) to tokens (B, P, D) of length 1."""
        return F.normalize(torch.cat([features, to_rows(self.patch_embed(images))], dim=-1), dim=-1)

    def first(self, features: Tensor, images: Tensor) -> State:
        """Iteration 0 of features (B, P, E) and images (B, 3, H, W): n latent tokens."""
        fresh = (self.latent_tokens + self.iteration_embedding[0]).expand(len(images), -1, -1)
        return State(0, self.attend(self.grid_tokens(features, images), fresh))

    def next(self, state: State, halted: Tensor | None = None) -> State:
        """One further iteration, with n further tokens.

        Grid tokens at ``halted`` (B, P) positions are blanked before it: it sees there a mask token alone.
        """
        x = self.next_input(state, halted)
        return State(state.iteration + 1, self.through_blocks(x))

    def next_input(self, state: State, halted: Tensor | None = None) -> Tensor:
        """What the blocks of the next iteration get, (B, 1 + P + K + n, D)."""
        x = state.sequence if halted is None else self._blanked(state.sequence, halted)
        fresh = self.latent_tokens + self.latent_token_positional_embedding
        fresh = fresh + self.iteration_embedding[state.iteration + 1]
        return self.norm_recursive(torch.cat([x, fresh.expand(len(x), -1, -1)], dim=1))

    def latents(self, state: State) -> Tensor:
        """(B, K, D) latent tokens as they are handed to the next iteration."""
        return state.sequence[:, 1 + self.num_patches :]

    def features(self, state: State) -> Tensor:
        """(B, K, D) latent tokens as the bottleneck gets them."""
        normalised: Tensor = self.norm_post(self.latents(state))
        return normalised

    def forward(self, state: State) -> Tensor:
        """Latent tokens (B, K, ``latent_dim``) before quantisation."""
        projected: Tensor = self.to_latent(self.features(state))
        return projected

    def _blanked(self, sequence: Tensor, halted: Tensor) -> Tensor:
        class_token, grid, latents = sequence.split([1, self.num_patches, sequence.shape[1] - 1 - self.num_patches], 1)
        blank = (self.positional_embedding[1:] + self.mask_token).to(grid.dtype)
        return torch.cat([class_token, torch.where(halted[..., None], blank, grid), latents], dim=1)


class LengthDecoder(Backbone):
    """Any number of latent tokens up to T * n to logits over the base's codes; the number is all it knows of them."""

    def __init__(self, config: AlitModel) -> None:
        width = config.transformer.width
        super().__init__(config.transformer, config.grid_size**2, config.num_latent_tokens)
        self.num_patches = config.grid_size**2
        self.decoder_embed = Linear(config.code_dim, width) if config.latents != "unprojected" else nn.Identity()
        self.mask_token = scaled_normal(1, 1, width)
        self.head = nn.Sequential(Linear(width, 2 * width), nn.Tanh(), Linear(2 * width, config.vqgan.codebook_size))
        self.init_published()

    def forward(self, codes: Tensor) -> Tensor:
        """Latent tokens (B, K, ``latent_dim``) to logits (B, P, V) over the V codes of the base, raster order."""
        latents = self.decoder_embed(codes)
        x = self.attend(self.mask_token.expand(len(latents), self.num_patches, -1), latents)
        logits: Tensor = self.head(self.norm_post(x[:, 1 : 1 + self.num_patches]))
        return logits
