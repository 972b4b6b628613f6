"""MaskGIT-VQGAN: the convolutional 2D tokenizer that supplies proxy codes and the pixel decoder.

Chang et al. 2022, in the form of the released PyTorch weights (specification 3). Module names are the published ones,
so a published checkpoint loads as it is. Images are (B, 3, H, W) in [0, 1]; codes are (B, P) in raster order,
P = h * w.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from titok.config.model import VQGANModel
from titok.errors import ModelError
from titok.models.image_tokenizer import Ids, ImageTokenizer, Reconstruction, TokenFacts
from titok.models.quantizer import Quantized, VectorQuantizer


class ResBlock(nn.Module):
    """Two normalised 3x3 convolutions with a shortcut.

    When the channels change, the shortcut convolution acts on the *output* of the second convolution and the block's
    input is dropped: an oddity of the original MaskGIT code that its weights depend on.
    """

    def __init__(self, in_channels: int, out_channels: int, norm_groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(norm_groups, in_channels, eps=1e-6)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(norm_groups, out_channels, eps=1e-6)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.nin_shortcut = (
            nn.Conv2d(out_channels, out_channels, 1, bias=False) if in_channels != out_channels else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H, W)."""
        hidden = self.conv1(F.silu(self.norm1(x)))
        hidden = self.conv2(F.silu(self.norm2(hidden)))
        return hidden + (x if self.nin_shortcut is None else self.nin_shortcut(hidden))


class Level(nn.Module):
    """The residual blocks of one resolution; a decoder level that is not the last also enlarges the image."""

    def __init__(self, in_channels: int, out_channels: int, config: VQGANModel, *, upsample: bool = False) -> None:
        super().__init__()
        self.block = nn.Sequential(
            *(
                ResBlock(in_channels if i == 0 else out_channels, out_channels, config.norm_groups)
                for i in range(config.num_res_blocks)
            )
        )
        self.upsample_conv = nn.Conv2d(out_channels, out_channels, 3, padding=1) if upsample else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H, W), or (B, out, 2H, 2W) when the level enlarges."""
        x = self.block(x)
        if self.upsample_conv is None:
            return x
        return self.upsample_conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class VQGANEncoder(nn.Module):
    """Images (B, 3, H, W) to features (B, E, h, w); average pooling between levels, no attention."""

    def __init__(self, config: VQGANModel) -> None:
        super().__init__()
        widths = [config.channels * multiplier for multiplier in config.channel_multipliers]
        self.conv_in = nn.Conv2d(3, config.channels, 3, padding=1, bias=False)
        self.down = nn.ModuleList(
            Level(before, after, config) for before, after in zip([config.channels, *widths[:-1]], widths, strict=True)
        )
        self.mid = nn.Sequential(
            *(ResBlock(widths[-1], widths[-1], config.norm_groups) for _ in range(config.num_res_blocks))
        )
        self.norm_out = nn.GroupNorm(config.norm_groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], config.code_dim, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, E, h, w)."""
        x = self.conv_in(images)
        for index, level in enumerate(self.down):
            x = level(x if index == 0 else F.avg_pool2d(x, 2))
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class VQGANDecoder(nn.Module):
    """Code vectors (B, E, h, w) to images (B, 3, H, W), not clamped; nearest-neighbour enlargement between levels."""

    def __init__(self, config: VQGANModel) -> None:
        super().__init__()
        widths = [config.channels * multiplier for multiplier in config.channel_multipliers]
        self.conv_in = nn.Conv2d(config.code_dim, widths[-1], 3, padding=1)
        self.mid = nn.Sequential(
            *(ResBlock(widths[-1], widths[-1], config.norm_groups) for _ in range(config.num_res_blocks))
        )
        # Level 0 is the full resolution, as in the published names; `forward` runs the list from its end.
        self.up = nn.ModuleList(
            Level(before, after, config, upsample=index > 0)
            for index, (before, after) in enumerate(zip([*widths[1:], widths[-1]], widths, strict=True))
        )
        self.norm_out = nn.GroupNorm(config.norm_groups, widths[0], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, codes: Tensor) -> Tensor:
        """(B, E, h, w) to (B, 3, H, W)."""
        x = self.mid(self.conv_in(codes))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))


def to_rows(grid: Tensor) -> Tensor:
    """(B, E, h, w) to (B, h * w, E), raster order."""
    return grid.flatten(2).transpose(1, 2)


def to_grid(rows: Tensor) -> Tensor:
    """(B, P, E) in raster order to the square grid (B, E, sqrt(P), sqrt(P))."""
    side = math.isqrt(rows.shape[1])
    return rows.transpose(1, 2).unflatten(2, (side, side))


class VQGAN(ImageTokenizer):
    """Encoder, codebook and decoder; frozen in the published recipes, trained from scratch in small studies."""

    config: VQGANModel

    def __init__(self, config: VQGANModel) -> None:
        super().__init__()
        self.config = config
        self.encoder = VQGANEncoder(config)
        self.decoder = VQGANDecoder(config)
        self.quantize = VectorQuantizer(config.codebook_size, config.code_dim)

    @property
    def facts(self) -> TokenFacts:
        """It takes images of any size, which decides how many codes they become."""
        return TokenFacts(image_size=None, most_tokens=None, codebook_size=self.config.codebook_size)

    def encode(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) to features (B, P, E) before quantisation."""
        return to_rows(self.encoder(images))

    def decode(self, z_quantized: Tensor) -> Tensor:
        """Code vectors (B, P, E) to images (B, 3, H, W), not clamped."""
        return self.decoder(to_grid(z_quantized))

    def require_settings(self, wanted: VQGANModel | None) -> None:
        """Raises `ModelError` where a tokenizer that is to take its weights was made for another VQGAN."""
        if wanted != self.config:
            raise ModelError(
                f"the VQGAN's settings are {self.config!r}, the tokenizer's `vqgan` is {wanted!r}; they must be equal"
            )

    @torch.no_grad()
    def tokenize(self, images: Tensor) -> Ids:
        """Images (B, 3, H, W) to proxy codes (B, P); always in float32 and without gradient."""
        with torch.autocast(device_type=images.device.type, enabled=False):
            return Ids(self.quantize(self.encode(images.float())).indices)

    def detokenize(self, ids: Ids) -> Tensor:
        """Proxy codes (B, P) to images (B, 3, H, W), clamped to [0, 1]."""
        return self.decode(self.quantize.lookup(ids.of_one_length())).clamp(0.0, 1.0)

    def reconstruct(self, images: Tensor, noise: Tensor | None = None) -> Reconstruction:
        """Images through the codebook and back, not clamped; it uses no noise."""
        restored, quantized = self(images)
        return Reconstruction(restored, Ids(quantized.indices))

    def forward(self, images: Tensor) -> tuple[Tensor, Quantized]:
        """Images to reconstructions (B, 3, H, W), not clamped, and the quantizer's outcome with its losses."""
        quantized = self.quantize(self.encode(images))
        return self.decode(quantized.z_quantized), quantized
