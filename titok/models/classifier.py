"""A small convolutional classifier: judge and feature network of studies whose images no Inception understands.

One instance reads samples for the metrics; another one, trained apart, serves as the perceptual network of training.
Its gradients with respect to the image are to be useful, so activations are smooth, nothing is max-pooled and the
kernels that halve the image overlap evenly, which leaves no checkerboard. Norms are per image: with no running
statistics, averaged weights (EMA) need no recalibration.

Letters: B batch, S image side, F features.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from titok.config.model import ClassifierModel
from titok.models.linear import Linear

FINAL_GRID = 4
"""Side of the grid that the last feature map is averaged to: digits differ by where their strokes are, so a global
average would lose them, and a fixed grid accepts images of any size."""


class Classifier(nn.Module):
    """Images to features to class logits."""

    def __init__(self, config: ClassifierModel) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        width_in = 3
        for stage, width in enumerate(config.channels):
            is_last = stage == len(config.channels) - 1
            layers += [
                nn.Conv2d(width_in, width, kernel_size=3, padding=1)
                if is_last
                else nn.Conv2d(width_in, width, kernel_size=4, stride=2, padding=1),
                nn.GroupNorm(1, width),
                nn.SiLU(),
            ]
            width_in = width
        self.stages = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(FINAL_GRID), nn.Flatten())
        self.to_features = nn.Sequential(Linear(width_in * FINAL_GRID**2, config.feature_dim), nn.SiLU())
        self.dropout = nn.Dropout(config.dropout)
        self.to_logits = Linear(config.feature_dim, config.num_classes)

    def features(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S) in [0, 1] -> features (B, F), the input of the last linear layer."""
        # Channels last: about twice as quick on CPUs at these widths.
        centred = (images * 2 - 1).contiguous(memory_format=torch.channels_last)
        return cast(Tensor, self.to_features(self.stages(centred)))

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S) in [0, 1] -> class logits (B, num_classes)."""
        return cast(Tensor, self.to_logits(self.dropout(self.features(images))))
