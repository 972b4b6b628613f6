"""ALIT's halting: grid positions that the code so far explains are blanked, so that later tokens serve the others.

It is no stop criterion and saves no work; a position that was blanked once is an ordinary token afterwards. Training
draws it at random. Evaluation does without, unless it is asked for with given masks or a seed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from titok.runtime.seed import generator

Halting = Callable[[int, Tensor], Tensor]
"""(iteration, probabilities (B, P) of the true base codes) to the positions to blank (B, P), after that iteration."""


def explained(logits: Tensor, base_codes: Tensor) -> Tensor:
    """(B, P) float32: the probability that logits (B, P, V) give to the image's own base codes (B, P)."""
    return logits.detach().float().softmax(dim=-1).gather(-1, base_codes[..., None]).squeeze(-1)


def halting_mask(probabilities: Tensor, uniform: Tensor, threshold: float) -> Tensor:
    """(B, P): a position halts with its own probability, if that is at least ``threshold``; ``uniform`` in [0, 1)."""
    return (uniform < probabilities) & (probabilities >= threshold)


def given_halting(masks: Tensor) -> Halting:
    """By masks (T, B, P), one for each iteration."""
    return lambda iteration, probabilities: masks[iteration].to(probabilities.device)


def sampled_halting(seed: int, threshold: float) -> Halting:
    """As in training, drawn anew at every iteration; the same ``seed`` and batch give the same masks."""

    def halt(iteration: int, probabilities: Tensor) -> Tensor:
        # A stream of its own for each iteration: where a rollout ends early, the others' draws stay what they are.
        uniform = torch.rand(probabilities.shape, generator=generator(seed, "halting", iteration))
        uniform = uniform.to(probabilities.device)
        return halting_mask(probabilities, uniform, threshold)

    return halt
