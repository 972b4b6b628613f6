"""The images that were given the fewest tokens and the most, kept while a pass goes by, and their tokens' attention."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from titok.data.transforms import from_uint8
from titok.models.attention_maps import AttentionMaps, attention_maps
from titok.models.image_tokenizer import ImageTokenizer

MOST_TOKENS = 8
"""Of a code, evenly spread over it, whose attention is kept."""


class Extremes:
    """At most ``count`` images at either end; nobody picks any.

    Of those with equally few tokens, the ones that are best by the criterion; of those with equally many, the worst.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []
        """Of the fewest first, then of the most: order (M, 2), images (M, 1 + L, 3, H, W) and lengths' places (M,)."""

    def update(
        self, originals: Tensor, restored: Tensor, places: Tensor, measured: Tensor, higher_is_better: bool
    ) -> None:
        """Originals (B, 3, H, W) and reconstructions (B, L, 3, H, W), both uint8; places and measures (B,)."""
        if not self.count:
            return
        images = torch.cat([originals[:, None], restored], dim=1).cpu()
        effort = torch.stack([places.double(), measured.double() * (-1 if higher_is_better else 1)], dim=1).cpu()
        new = [(effort, images, places.cpu()), (-effort, images, places.cpu())]
        kept = (
            [
                tuple(torch.cat(parts) for parts in zip(old, own, strict=True))
                for old, own in zip(self._kept, new, strict=True)
            ]
            if self._kept
            else new
        )
        self._kept = [self._first(*side) for side in kept]

    def _first(self, order: Tensor, images: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        chosen = torch.from_numpy(np.lexsort((order[:, 1].numpy(), order[:, 0].numpy()))[: self.count].copy())
        return order[chosen], images[chosen], places[chosen]

    def arrays(self, lengths: Sequence[int]) -> dict[str, np.ndarray]:
        """``images`` (1 + L, M, H, W, 3) uint8 in rows of one length, originals first, their ``row_labels``, and
        ``tokens`` (M,) that each image was given: the fewest first, the most last."""
        if not self._kept:
            return {}
        (_, few, few_places), (_, many, many_places) = self._kept
        images = torch.cat([few, many.flip(0)]).permute(1, 0, 3, 4, 2).contiguous().numpy()
        given = np.array(lengths)[torch.cat([few_places, many_places.flip(0)]).numpy()]
        return {"images": images, "row_labels": np.array(["original", *map(str, lengths)]), "tokens": given}


def shown_tokens(count: int) -> np.ndarray:
    """(T,): which of so many tokens, counted from 0, evenly spread from the first on."""
    return np.arange(0, count, -(-count // MOST_TOKENS))


def attention_arrays(model: ImageTokenizer, originals: np.ndarray) -> dict[str, np.ndarray]:
    """What tokens look at in images (M, H, W, 3) uint8; nothing of tokenizers without latent tokens.

    ``attention_encoder`` and ``attention_decoder`` (I, M, T, G, G) float32, NaN where a code is too short for a token
    (`titok.models.attention_maps`); ``attention_lengths`` (I,) of the codes, ``attention_tokens`` (T,) counted from 0.
    """
    device = next(model.parameters()).device
    found = attention_maps(model, from_uint8(torch.from_numpy(originals).movedim(-1, 1)).to(device))
    lengths = [maps.encoder.shape[1] for maps in found]
    if not lengths or not lengths[-1]:
        return {}
    tokens = shown_tokens(lengths[-1])
    arrays = {"attention_lengths": np.array(lengths), "attention_tokens": tokens}
    for name in AttentionMaps._fields:
        maps = [getattr(each, name).float().cpu().numpy() for each in found]
        kept = np.full((len(maps), len(originals), len(tokens), *maps[0].shape[2:]), np.nan, np.float32)
        for place, whole in enumerate(maps):
            there = tokens[tokens < whole.shape[1]]
            kept[place, :, : len(there)] = whole[:, there]
        arrays[f"attention_{name}"] = kept
    return arrays
