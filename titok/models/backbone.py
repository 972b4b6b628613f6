"""What TiTok's encoder and decoder share: one transformer over [class, image tokens, latent tokens].

Specification 1.2 and 1.3. The encoder keeps the latent tokens of the result, the decoder the image tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from titok.config.model import TransformerSize
from titok.models.transformer import Block


def scaled_normal(*shape: int) -> nn.Parameter:
    """A learned embedding, drawn from a normal distribution with standard deviation width^-0.5 (specification 1.5)."""
    return nn.Parameter(torch.randn(*shape) * shape[-1] ** -0.5)


class Backbone(nn.Module):
    """Pre-norm transformer with learned positions for P image tokens and K latent tokens, or none of these."""

    def __init__(self, size: TransformerSize, num_patches: int, num_latent_tokens: int) -> None:
        super().__init__()
        self.size = size
        self.class_embedding = scaled_normal(1, size.width)
        self.positional_embedding = scaled_normal(1 + num_patches, size.width)
        if num_latent_tokens:
            self.latent_token_positional_embedding = scaled_normal(num_latent_tokens, size.width)
        self.norm_pre = nn.LayerNorm(size.width)
        self.blocks = nn.ModuleList(
            Block(size.width, size.num_heads, mlp_ratio=size.mlp_ratio) for _ in range(size.depth)
        )
        self.norm_post = nn.LayerNorm(size.width)

    def attend(self, image_tokens: Tensor, latent_tokens: Tensor | None = None) -> Tensor:
        """Image tokens (B, P, D) and latent tokens (B, K, D) to the sequence (B, 1 + P + K, D) before ``norm_post``.

        Fewer latent tokens than there are positions take the first positions.
        """
        class_position, image_positions = self.positional_embedding.split([1, image_tokens.shape[1]])
        class_token = (self.class_embedding + class_position).expand(image_tokens.shape[0], 1, -1)
        sequence = [class_token, image_tokens + image_positions]
        if latent_tokens is not None:
            sequence.append(latent_tokens + self.latent_token_positional_embedding[: latent_tokens.shape[1]])
        return self.through_blocks(self.norm_pre(torch.cat(sequence, dim=1)))

    def through_blocks(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        for block in self.blocks:
            x = block(x)
        return x

    @torch.no_grad()
    def init_published(self) -> None:
        """The released initialisation: truncated normal for linear and convolution weights, zero biases.

        The packed attention weight keeps Xavier's uniform, as the released code leaves it (specification 1.5).
        `TransformerSize` has both scales; its defaults are the released ones.
        """
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                if name.endswith("attn.qkv"):
                    nn.init.xavier_uniform_(module.weight, gain=self.size.attention_init_gain)
                else:
                    nn.init.trunc_normal_(module.weight, std=self.size.init_std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
