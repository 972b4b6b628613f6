"""A small convolutional classifier: judge and feature network of studies whose images no Inception understands.

One instance reads samples for the metrics; another one, trained apart, serves as the perceptual network of training.
Smooth activations and no maximum pooling keep its gradients with respect to the image useful. Group norms hold no
running statistics, so averaged weights (EMA) need no recalibration.

Letters: B batch, S image side, F features.
"""

from __future__ import annotations

import math
from typing import cast

from torch import Tensor, nn

from titok.config.model import ClassifierModel

FINAL_GRID = 4
"""Side of the grid that the last feature map is averaged to: digits differ by where their strokes are, so a global
average would lose them, and a fixed grid accepts images of any size."""
CHANNELS_PER_GROUP = 8


class Classifier(nn.Module):
    """Images to features to class logits."""

    def __init__(self, config: ClassifierModel) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width_in = 3
        for stage, width in enumerate(config.channels):
            is_last = stage == len(config.channels) - 1
            layers += [
                nn.Conv2d(width_in, width, kernel_size=3, padding=1),
                nn.GroupNorm(math.gcd(width, max(1, width // CHANNELS_PER_GROUP)), width),
                nn.SiLU(),
                nn.Identity() if is_last else nn.AvgPool2d(2),
            ]
            width_in = width
        self.stages = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(FINAL_GRID), nn.Flatten())
        self.to_features = nn.Sequential(nn.Linear(width_in * FINAL_GRID**2, config.feature_dim), nn.SiLU())
        self.dropout = nn.Dropout(config.dropout)
        self.to_logits = nn.Linear(config.feature_dim, config.num_classes)

    def features(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S) in [0, 1] -> features (B, F), the input of the last linear layer."""
        # Centred inputs: a dark background would otherwise be no signal at all to the first convolution.
        return cast(Tensor, self.to_features(self.stages(images * 2 - 1)))

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S) in [0, 1] -> class logits (B, num_classes)."""
        return cast(Tensor, self.to_logits(self.dropout(self.features(images))))
