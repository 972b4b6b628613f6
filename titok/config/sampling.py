"""How tokens are sampled: the one place that holds a sampler's settings (paper appendix A, specification 5).

The paper's table alone does not reproduce its scores: the script behind them also anneals the softmax temperature and
lets guidance grow over the steps. `PUBLISHED_SAMPLERS` has the complete records.
"""

from __future__ import annotations

from typing import Annotated, Literal

from titok.config.section import Neutral, NonNegativeFloat, PositiveFloat, PositiveInt, Section

MaskSchedule = Literal["arccos", "cosine", "linear", "root"]
"""How the masked share falls from 1 to 0 over the steps; the same function draws the share in training."""

GuidanceSchedule = Literal["constant", "linear", "power_cosine"]
"""How guidance grows over the steps."""

Confidence = Literal["logit", "log_prob"]
"""What the least confident positions are found by: the drawn token's logit (TiTok) or its log-probability (MaskGIT)."""


class Sampler(Section):
    """One way of turning a class into K tokens with a masked generator."""

    num_steps: PositiveInt = 8
    """Forward passes with the class (S); guidance adds as many without it."""
    mask_schedule: MaskSchedule = "arccos"
    guidance_schedule: GuidanceSchedule = "linear"
    """`constant`: the full scale at every step. `linear`: scale * s / S at step s = 0..S-1, so the first step is not
    guided. `power_cosine`: scale * (1 - cos(pi * (s / S) ** guidance_power)) / 2."""
    guidance_scale: NonNegativeFloat = 4.5
    """s in logits = cond + s * (cond - uncond), for every schedule; 0 turns guidance off. The released code counts
    its power-cosine scale from 1 (uncond + g * (cond - uncond)): its 6.9 is 5.9 here."""
    guidance_power: PositiveFloat = 3.0
    """Exponent of `power_cosine`; the other schedules do not read it."""
    choice_temperature: NonNegativeFloat = 9.5
    """Scale of the Gumbel noise on confidences and, without `token_temperature`, on logits; falls linearly to 0 at the
    last step. The released code calls it randomize_temperature."""
    token_temperature: Annotated[NonNegativeFloat | None, Neutral(None)] = None
    """Scale of the Gumbel noise on logits at every step, the last included: 1 draws tokens from the softmax, as MaskGIT
    does. Null, as in TiTok: `choice_temperature` is theirs, too, and the last step takes the best token."""
    confidence: Annotated[Confidence, Neutral("logit")] = "logit"
    """`logit`: of the drawn token, as in TiTok. `log_prob`: its log-probability, as in MaskGIT."""
    softmax_temperature_annealing: bool = True
    """Divide the logits by a temperature that falls from below 1.3 to 0.5."""


PUBLISHED_SAMPLERS: dict[str, Sampler] = {
    "titok-l-32": Sampler(num_steps=8, guidance_schedule="linear", guidance_scale=4.5, choice_temperature=9.5),
    "titok-b-64": Sampler(num_steps=8, guidance_schedule="linear", guidance_scale=3.0, choice_temperature=11.0),
    "titok-s-128": Sampler(num_steps=64, guidance_schedule="power_cosine", guidance_scale=5.9, choice_temperature=2.8),
}
"""The settings behind the published gFIDs of 2.77, 2.48 and 1.97."""
