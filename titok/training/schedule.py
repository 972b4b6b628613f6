"""Learning rate as a function of the step, so that a resumed run needs no scheduler state (specification 8.2)."""

from __future__ import annotations

import math

from titok.config.training import Schedule


def learning_rate(index: int, base: float, total: int, schedule: Schedule) -> float:
    """Learning rate of the optimizer's update number ``index``, counting from 0.

    A straight line from 0 during the warm-up, so the first update moves nothing but fills Adam's moments; then half a
    cosine from ``base`` to ``schedule.end_learning_rate`` at ``total`` updates, or ``base`` for ever. As in the
    released code the cosine turns up again after ``total``.
    """
    warmup = schedule.warmup_steps
    if index < warmup:
        return base * index / warmup
    if schedule.kind == "constant":
        return base
    progress = (index - warmup) / max(1, total - warmup)
    share = max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))
    return schedule.end_learning_rate + (base - schedule.end_learning_rate) * share
