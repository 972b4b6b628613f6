"""TiTok's encoder: an image and K learned latent tokens go through one transformer, the K tokens come out.

Of a 2D TiTok, the patches come out.
"""

from __future__ import annotations

from torch import Tensor, nn

from titok.config.model import TokenizerModel
from titok.models.backbone import Backbone
from titok.models.linear import Linear
from titok.models.published import interleaved


class Encoder(Backbone):
    """Images to latents (paper section 3.2, specification 1.2)."""

    def __init__(self, config: TokenizerModel) -> None:
        width = config.encoder.width
        super().__init__(config.encoder, config.grid_size**2, config.num_learned_latents)
        self.latent_layout = config.latent_layout
        self.patch_embed = nn.Conv2d(3, width, config.patch_size, stride=config.patch_size)
        # A vae needs a mean and a log-variance per channel.
        self.to_latent = Linear(width, config.code_dim * (2 if config.kind == "vae" else 1))
        self.init_published()

    def forward(self, images: Tensor, latent_tokens: Tensor | None) -> Tensor:
        """Images (B, 3, H, W) and latent tokens (K, D) to latents (B, K, E), or a vae's moments (B, K, 2E).

        Without latent tokens the patches are the latents, in raster order.
        """
        return self.narrowed(self.features(images, latent_tokens))

    def features(self, images: Tensor, latent_tokens: Tensor | None) -> Tensor:
        """The same in the encoder's own width, (B, K, D), each row of its own token: before `narrowed`."""
        patches = self.patch_embed(images).flatten(2).transpose(1, 2)
        if latent_tokens is None:
            return self.norm_post(self.attend(patches)[:, 1:])
        x = self.attend(patches, latent_tokens.expand(len(images), -1, -1))
        return self.norm_post(x[:, -latent_tokens.shape[0] :])

    def narrowed(self, features: Tensor) -> Tensor:
        """Features (B, K, D) to latents (B, K, E), or a vae's moments (B, K, 2E)."""
        return self.to_latent(interleaved(features) if self.latent_layout == "interleaved" else features)
