"""Scales and temperatures of each step of sampling, as plain numbers (specification 5); no torch here.

Letters: S steps, s = 0..S-1 the step, r = (s + 1) / S the progress after it.
"""

from __future__ import annotations

import math

from titok.config.sampling import Sampler


def guidance_scales(sampler: Sampler) -> list[float]:
    """The scale s of logits = cond + s * (cond - uncond) at each step; 0 means that no second half is run."""
    starts = [step / sampler.num_steps for step in range(sampler.num_steps)]
    if sampler.guidance_schedule == "constant":
        return [sampler.guidance_scale for _ in starts]
    if sampler.guidance_schedule == "linear":
        return [sampler.guidance_scale * start for start in starts]
    return [sampler.guidance_scale * (1 - math.cos(math.pi * start**sampler.guidance_power)) / 2 for start in starts]


def softmax_temperatures(sampler: Sampler) -> list[float]:
    """What the logits are divided by at each step: 1, or 0.5 + 0.8 * (1 - r) with annealing."""
    if not sampler.softmax_temperature_annealing:
        return [1.0] * sampler.num_steps
    return [0.5 + 0.8 * (1 - (step + 1) / sampler.num_steps) for step in range(sampler.num_steps)]


def choice_temperatures(sampler: Sampler) -> list[float]:
    """Scale of the Gumbel noise on confidences at each step: choice_temperature * (1 - r), so 0 at the last."""
    return [sampler.choice_temperature * (1 - (step + 1) / sampler.num_steps) for step in range(sampler.num_steps)]


def token_temperatures(sampler: Sampler) -> list[float]:
    """Scale of the Gumbel noise on logits at each step; where it is that of confidences the last step is greedy."""
    if sampler.token_temperature is None:
        return choice_temperatures(sampler)
    return [sampler.token_temperature] * sampler.num_steps
