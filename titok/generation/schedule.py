"""What changes from step to step of sampling, worked out on the host before the loop starts (specification 5).

Letters: K tokens of a sample, S steps, s = 0..S-1 the step, r = (s + 1) / S the progress after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from titok.config.sampling import Confidence, MaskSchedule, Sampler
from titok.generation.per_step import choice_temperatures, guidance_scales, softmax_temperatures, token_temperatures
from titok.runtime.elementwise import arccos, sqrt

_MASK_RATIOS: dict[MaskSchedule, Callable[[Tensor], Tensor]] = {
    "arccos": lambda progress: arccos(progress) / (math.pi / 2),
    "cosine": lambda progress: torch.cos(progress * (math.pi / 2)),
    "linear": lambda progress: 1 - progress,
    "root": lambda progress: 1 - sqrt(progress),
}

# Products such as 20 * (1 - 0.9) land a rounding error below the whole number that is meant.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class DecodingStep:
    """Everything one step needs, as plain values: the loop never asks the device."""

    guidance_scale: float
    softmax_temperature: float
    token_temperature: float
    choice_temperature: float
    num_masked_after: int
    """Positions that are masked again at the end of the step; 0 only at the last one."""
    confidence: Confidence


def mask_ratio(progress: Tensor, schedule: MaskSchedule) -> Tensor:
    """Masked share of the tokens at ``progress`` in [0, 1] (any shape): 1 at 0, 0 at 1.

    `arccos` is TiTok's; the others are MaskGIT's (Chang et al. 2022, section 3.3).
    """
    return _MASK_RATIOS[schedule](progress)


def masked_counts(num_tokens: int, num_steps: int, schedule: MaskSchedule) -> list[int]:
    """Masked positions entering each of the S steps, then those of the result: S + 1 numbers from K to 0.

    Every step reveals at least one token while more than one is masked, and the last token is kept for the last
    step; with more steps than tokens the steps in between only revise it.
    """
    progress = torch.arange(1, num_steps, dtype=torch.float64) / num_steps
    if schedule == "cosine":
        wanted = num_tokens * _maskgits_cosine(progress)
    else:
        wanted = num_tokens * mask_ratio(progress, schedule) + _ROUNDING
    counts = [num_tokens]
    for count in torch.floor(wanted).long().tolist():
        counts.append(max(1, min(counts[-1] - 1, count)))
    return [*counts, 0]


def counts_by_length(num_tokens: int, sampler: Sampler) -> Tensor:
    """(K + 1, S) int64: of a sample with k tokens, how many are masked again after each step, in row k.

    A sample that is shorter than the sampler has steps is done early but for its last token, which later steps revise.
    """
    known = [masked_counts(length, sampler.num_steps, sampler.mask_schedule)[1:] for length in range(1, num_tokens + 1)]
    return torch.tensor([[0] * sampler.num_steps, *known])


def _maskgits_cosine(progress: Tensor) -> Tensor:
    """`mask_ratio` in MaskGIT's float32. Two thirds of the way it is a little below one half, so that of an even number
    of tokens one fewer stays masked than exact arithmetic says (the eighth of 12 steps).

    The cosine itself is taken in float64 and rounded: libraries disagree about the last bit of float32's.
    """
    return torch.cos((progress.float() * (math.pi / 2)).double()).float()


def decoding_steps(num_tokens: int, sampler: Sampler) -> list[DecodingStep]:
    """The S steps that turn K masked positions into K tokens."""
    counts = masked_counts(num_tokens, sampler.num_steps, sampler.mask_schedule)
    temperatures = (softmax_temperatures(sampler), token_temperatures(sampler), choice_temperatures(sampler))
    columns = (guidance_scales(sampler), *temperatures, counts[1:])
    return [DecodingStep(*step, sampler.confidence) for step in zip(*columns, strict=True)]
