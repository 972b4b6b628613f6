"""Features for the linear probe (paper Figure 4b): what a frozen tokenizer's latents say about the class.

The features are the encoder's outputs before quantisation. How the paper made one vector out of K tokens is not stated;
both ways are here and the protocol names the one used. The linear classifier itself is a training task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Tensor

from titok.data.transforms import floats_on
from titok.data.view_rows import RowsOf
from titok.errors import ScoreError

Pooling = Literal["mean", "concatenate"]


def pool_latents(latents: Tensor, pooling: Pooling) -> Tensor:
    """Latents (B, K, E) -> (B, E) by the mean over tokens, or (B, K * E) side by side, in float32."""
    return latents.float().mean(dim=1) if pooling == "mean" else latents.float().flatten(1)


def features_by(encode: Callable[[Tensor], Tensor], pooling: Pooling, device: torch.device) -> RowsOf:
    """Features by an encoder: images in [0, 1] -> latents (B, K, E) before quantisation, frozen, on ``device``.

    The function that comes back raises ``ScoreError`` for latents that are not finite.
    """

    def features_of(images: Tensor) -> Tensor:
        with torch.no_grad():
            features = pool_latents(encode(floats_on(images, device)), pooling).cpu()
        broken = int((~torch.isfinite(features)).any(dim=1).sum())
        if broken:
            raise ScoreError(
                f"{broken} of {len(features)} images have latents that are NaN or infinite; the encoder diverged"
            )
        return features

    return features_of


def probe_accuracy(
    logits_of: Callable[[Tensor], Tensor], batches: Iterable[tuple[Tensor, Tensor]], device: torch.device
) -> float:
    """Top-1 accuracy as a fraction, over batches of features (B, F) and classes (B,).

    Raises:
        ScoreError: there are no images.
    """
    right, seen = 0, 0
    with torch.no_grad():
        for features, labels in batches:
            found = logits_of(features.to(device)).argmax(dim=1).cpu()
            right += int((found == labels).sum())
            seen += len(labels)
    if not seen:
        raise ScoreError("no images to probe; the split is empty")
    return right / seen
