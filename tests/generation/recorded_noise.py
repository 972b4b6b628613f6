"""Noise of golden runs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from titok.generation.noise import NoiseKind


class RecordedNoise:
    """The noise of a golden run: one numpy stream, drawn in call order (golden rule, "Noise streams")."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.Generator(np.random.PCG64(seed))

    def uniform(self, sample_indices: Tensor, step: int, kind: NoiseKind, shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(self.rng.random((len(sample_indices), *shape), dtype=np.float32))
