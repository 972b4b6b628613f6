"""TiTok's decoder: mask tokens stand for the patches and read the image out of the K quantised latents.

Of a 2D TiTok, the quantised patches are in the patches' places.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from titok.config.model import TokenizerModel
from titok.models.backbone import Backbone, scaled_normal
from titok.models.linear import Linear


def unpatchify(patches: Tensor, patch_size: int) -> Tensor:
    """Patches (B, P, p * p * 3), colour fastest, then column, then row, to images (B, 3, H, W)."""
    grid_size = math.isqrt(patches.shape[1])
    grid = patches.view(len(patches), grid_size, grid_size, patch_size, patch_size, 3)
    return grid.permute(0, 5, 1, 3, 2, 4).reshape(len(patches), 3, grid_size * patch_size, grid_size * patch_size)


def spread_codes(predictions: Tensor, codes_per_patch: int) -> Tensor:
    """Logits of whole patches (B, P, c * c * V), row by row within a patch, to codes (B, P * c * c, V) in raster order.

    c is ``codes_per_patch``.
    """
    if codes_per_patch == 1:
        return predictions
    batch, patches, _ = predictions.shape
    side = math.isqrt(patches)
    grid = predictions.view(batch, side, side, codes_per_patch, codes_per_patch, -1)
    return grid.permute(0, 1, 3, 2, 4, 5).reshape(batch, patches * codes_per_patch**2, -1)


class Decoder(Backbone):
    """Quantised latents to proxy-code logits (two-stage) or to pixels (single-stage); paper 3.2, specification 1.3."""

    def __init__(self, config: TokenizerModel) -> None:
        width = config.decoder.width
        super().__init__(config.decoder, config.grid_size**2, config.num_learned_latents)
        self.latents = config.latents
        self.num_patches = config.grid_size**2
        self.patch_size = config.patch_size
        self.codes_per_patch = config.codes_per_patch
        self.decoder_embed = Linear(config.code_dim, width)
        if config.latents == "tokens":
            self.mask_token = scaled_normal(1, 1, width)
        self.conv_out: nn.Conv2d | None = None
        if config.vqgan is not None and config.head == "proxy_codes":
            num_proxy_codes = config.vqgan.codebook_size * config.codes_per_patch**2
            self.head = nn.Sequential(Linear(width, 2 * width), nn.Tanh(), Linear(2 * width, num_proxy_codes))
        else:
            self.head = nn.Sequential(Linear(width, config.patch_size**2 * 3))
            self.conv_out = nn.Conv2d(3, 3, 3, padding=1)
        self.init_published()

    def forward(self, z_quantized: Tensor) -> Tensor:
        """Latents (B, K, E) to proxy logits (B, P, V_proxy), or by the pixels head to images (B, 3, H, W)."""
        latents = self.decoder_embed(z_quantized)
        if self.latents == "patches":
            x = self.attend(latents)
        else:
            x = self.attend(self.mask_token.expand(len(latents), self.num_patches, -1), latents)
        predictions = self.head(self.norm_post(x[:, 1 : 1 + self.num_patches]))
        if self.conv_out is None:
            return spread_codes(predictions, self.codes_per_patch)
        return self.conv_out(unpatchify(predictions, self.patch_size))
