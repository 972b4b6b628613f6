"""Soft tokens: what a frozen network that understands images makes of one, N vectors of its width.

Letters: B batch, N tokens, W width of the network. A vision transformer's tokens are those of its patches, those before
them (class token, registers) left out; a CNN's are the places of its last map. In raster order either way.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from titok.config.encoder_record import EncoderRecord
from titok.errors import ModelError
from titok.models.flops import abstractly, count
from titok.models.parameters import count_parameters
from titok.runtime.timm_network import build, open_network, preprocessing_of

_STORED_BITS = 16
"""Of a number in float16, as soft tokens are kept."""


class SoftTokenFacts(NamedTuple):
    """What can be known of an encoder without its weights."""

    parameters: int
    num_tokens: int
    width: int
    gflop: float
    """Of an image, multiplications and additions counted separately."""

    @property
    def stored_bits(self) -> int:
        """Of an image's tokens in float16, nothing coded."""
        return self.num_tokens * self.width * _STORED_BITS


class SoftTokens(nn.Module):
    """A frozen network, images in, tokens out.

    Args:
        record: which network.
        network: built by timm, with weights.
    """

    def __init__(self, record: EncoderRecord, network: nn.Module) -> None:
        super().__init__()
        self.record = record
        self.network: Any = network.eval().requires_grad_(False)
        self.preprocessing = preprocessing_of(network, record.model) | {"size": [record.image_size] * 2}
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(self.preprocessing[name]).view(1, 3, 1, 1))
        self.mean: Tensor
        self.std: Tensor

    @classmethod
    def open(cls, record: EncoderRecord, weights: Path) -> SoftTokens:
        """With weights from a file.

        Raises:
            WeightsError: the file is another one than the record's, or does not fit the network.
            FileError: it is missing or damaged.
        """
        network, _ = open_network(record.model, weights, record.sha256, record.names, **_options(record))
        return cls(record, network)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1], of any size, to tokens (B, N, W) in float32."""
        side, mode = self.record.image_size, self.preprocessing["interpolation"]
        resized = F.interpolate(images, size=(side, side), mode=mode, antialias=True, align_corners=False).clamp(0, 1)
        return tokens_of(self.network, self.network.forward_features((resized - self.mean) / self.std))


def tokens_of(network: Any, features: Tensor) -> Tensor:
    """What `forward_features` gives, as tokens (B, N, W)."""
    if features.ndim == 4:
        return features.flatten(2).transpose(1, 2)
    return features[:, int(getattr(network, "num_prefix_tokens", 0)) :]


def merged(tokens: Tensor, count: int) -> Tensor:
    """Tokens (B, N, W) of a square grid, averaged to ``count`` of them: 1, 2, 4, 8 ... at most N.

    The grid is cut into equal rows and columns, as many rows as columns or twice as many.

    Raises:
        ModelError: N is no square, or ``count`` no power of 2 up to N.
    """
    batch, places, width = tokens.shape
    side, power = math.isqrt(places), count.bit_length() - 1
    if side * side != places:
        raise ModelError(f"{places} tokens are no square grid; only such are averaged to fewer")
    if count < 1 or count != 1 << power or count > places:
        raise ModelError(f"{places} tokens cannot become {count}; allowed: powers of 2 from 1 to {places}")
    rows, columns = 1 << -(-power // 2), 1 << power // 2
    grid = tokens.transpose(1, 2).unflatten(2, (side, side))
    return F.adaptive_avg_pool2d(grid, (rows, columns)).flatten(2).transpose(1, 2).reshape(batch, count, width)


def empty_network(record: EncoderRecord) -> nn.Module:
    """As timm builds it for the record's image size, without a classifier; weights are random."""
    return build(record.model, **_options(record))


def _options(record: EncoderRecord) -> dict[str, Any]:
    options: dict[str, Any] = {"num_classes": 0} if record.names == "exact" else {}
    return options | ({"img_size": record.image_size} if record.model.startswith("vit_") else {})


def soft_token_facts(record: EncoderRecord) -> SoftTokenFacts:
    """Built on the meta device, which takes no memory."""
    with abstractly():
        network: Any = empty_network(record).eval()
        images = torch.empty(1, 3, record.image_size, record.image_size)
        features: list[Tensor] = []
        with torch.no_grad():
            operations = count(lambda: features.append(network.forward_features(images)))
        tokens = tokens_of(network, features[0])
    head = network.get_classifier()
    parameters = count_parameters(network) - (count_parameters(head) if isinstance(head, nn.Module) else 0)
    return SoftTokenFacts(parameters, tokens.shape[1], tokens.shape[2], operations / 1e9)
