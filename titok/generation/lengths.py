"""How many tokens a sample has: as many as an image of its class, drawn from those that the generator learned from.

Letters: C classes, K tokens of the longest sample, B batch.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from titok.errors import OptionError
from titok.generation.guidance import TokenGenerator
from titok.generation.noise import LAST_STEP, NoiseKind, NoiseStream


def draw_lengths(counts: Tensor, labels: Tensor, noise: NoiseStream, sample_indices: Tensor) -> Tensor:
    """(B,) int64: a length for each of the classes ``labels`` (B,), as often as ``counts`` (C, K) has it of its class.

    Each is a function of the noise and the sample's place in ``sample_indices`` (B,) alone. Nothing waits for the
    device; of a class without any image the sample has K tokens (`require_lengths` refuses it before).
    """
    upto = counts.to(labels.device)[labels].cumsum(dim=-1)
    uniform = noise.uniform(sample_indices, LAST_STEP, NoiseKind.TOKEN, ())
    # Numbers are below 1 by 2**-24 at least, so that the place lies among the images also after rounding.
    place = (uniform.double() * upto[:, -1]).floor().long()
    shorter = (upto <= place[:, None]).sum(dim=-1)
    return (shorter + 1).clamp(max=counts.shape[1])


def lengths_of(generator: TokenGenerator, labels: Tensor, noise: NoiseStream, sample_indices: Tensor) -> Tensor | None:
    """What `draw_lengths` gives by what a generator learned from; None where all its samples have K tokens."""
    counts = getattr(generator, "length_counts", None)
    return None if counts is None else draw_lengths(counts, labels, noise, sample_indices)


def require_lengths(generator: TokenGenerator, labels: np.ndarray) -> None:
    """Raises `OptionError` for a class of ``labels`` (N,) whose lengths a generator does not know."""
    counts = getattr(generator, "length_counts", None)
    if counts is None:
        return
    unknown = np.setdiff1d(labels, np.flatnonzero(counts.sum(dim=-1).cpu().numpy()))
    if unknown.size:
        raise OptionError(
            f"class {unknown[0]} had no image when the lengths of this generator's samples were counted; sample other "
            f"classes, or train it on tokens of all"
        )
