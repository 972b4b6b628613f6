"""Features for the linear probe (paper Figure 4b): what a frozen tokenizer's latents say about the class.

The features are the encoder's outputs before quantisation. How the paper made one vector out of K tokens is not stated;
both ways are here and the protocol names the one used. The linear classifier itself is a training task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Tensor

from titok.evaluation.findings import ScoreError

Pooling = Literal["mean", "concatenate"]


def pool_latents(latents: Tensor, pooling: Pooling) -> Tensor:
    """Latents (B, K, E) -> (B, E) by the mean over tokens, or (B, K * E) side by side, in float32."""
    return latents.float().mean(dim=1) if pooling == "mean" else latents.float().flatten(1)


def probe_features(
    encode: Callable[[Tensor], Tensor],
    batches: Iterable[Tensor],
    pooling: Pooling = "mean",
    device: torch.device | str = "cpu",
) -> Tensor:
    """Pooled latents of every image, (N, E) or (N, K * E) float32 on the CPU.

    Args:
        encode: images (B, 3, H, W) in [0, 1] -> latents (B, K, E) before quantisation, frozen, on ``device``.
        batches: images in [0, 1], anywhere; they are moved.
        pooling: how K tokens become one vector.
        device: where to work.

    Raises:
        ScoreError: there are no images, or a latent is not finite.
    """
    with torch.inference_mode():
        pooled = [pool_latents(encode(batch.to(device, non_blocking=True)), pooling) for batch in batches]
    if not pooled:
        raise ScoreError("no images to probe; the split is empty")
    features = torch.cat(pooled).cpu()
    broken = int((~torch.isfinite(features)).any(dim=1).sum())
    if broken:
        raise ScoreError(
            f"{broken} of {len(features)} images have latents that are NaN or infinite; the encoder diverged"
        )
    # Tensors of inference mode cannot be trained on.
    return features.clone()


def probe_accuracy(logits: Tensor, labels: Tensor) -> float:
    """Top-1 accuracy as a fraction: logits (N, C), labels (N,).

    Raises:
        ScoreError: not one label per row, or none at all.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or len(labels) == 0:
        raise ScoreError(
            f"logits have shape {tuple(logits.shape)} and labels {tuple(labels.shape)}; give (N, C) and (N,)"
        )
    return float((logits.argmax(dim=1) == labels.to(logits.device)).double().mean())
