"""The linear probe on a frozen encoder (paper Figure 4b).

The paper names neither features nor settings. The defaults are those of MAE's linear probing (He et al. 2022, appendix
A.1: LARS, 90 epochs, batch 16,384, learning rate 0.1 x batch / 256, no weight decay) for ImageNet's 1,281,167 images;
studies of other sizes set their own.
"""

from __future__ import annotations

from typing import Literal

from titok.config.section import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt
from titok.config.training import Optimizer, Schedule, Training
from titok.config.views import ViewSet


class ProbeOptimizer(Optimizer):
    """LARS as MAE's protocol has it, or AdamW for small studies."""

    kind: Literal["lars", "adamw"] = "lars"
    """`lars` reads `momentum` and `trust_coefficient`, `adamw` reads `betas` and `eps`."""
    learning_rate: PositiveFloat = 6.4
    weight_decay: NonNegativeFloat = 0.0
    momentum: Fraction = 0.9
    trust_coefficient: PositiveFloat = 0.001
    """Length of an update as a share of the length of the weights, before the learning rate."""


class LinearProbe(Training):
    """A linear classifier on frozen latents, behind a batch norm without learnt scale."""

    steps: PositiveInt = 7_038
    """Optimiser updates: 90 epochs."""
    batch_size: PositiveInt = 16_384
    optimizer: ProbeOptimizer = ProbeOptimizer()
    schedule: Schedule = Schedule(kind="cosine", warmup_steps=782, end_learning_rate=0.0)
    max_grad_norm: PositiveFloat = 1e6
    """Gradients are not clipped in MAE's protocol."""
    ema_decay: Fraction | None = None
    features: Literal["mean", "concatenate"] = "mean"
    """Latents before quantisation, averaged over the K tokens (E features) or side by side (K x E)."""
    views: ViewSet | None = ViewSet(crops="centre", mirrored=True)
    """Windows of each training image whose features are computed once and kept in a file, number of views x images x
    features x 4 bytes; an update sees one of them at random. Null: features of freshly drawn windows (random crop and
    flip) in every update, as MAE does, at the cost of one pass of the encoder per image and epoch."""
