"""What a healthy run looks like: where its numbers should lie at the start and at the end.

Only what is known goes in here: losses of a model that has learned nothing follow from the number of its choices, and
for few published runs somebody has said where they end. Leaving a band stops nothing; the log and the manifest say so.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple


class Band(NamedTuple):
    """Where a number of the log should lie."""

    metric: str
    moment: str
    """``start``: the first line of the log. ``end``: the last one."""
    low: float
    high: float
    because: str


class UnhealthyWarning(UserWarning):
    """A number of the log lies outside its band."""


SHORT_RUN = 100
"""Steps."""
S128_END = Band("proxy_code_loss", "end", 2.7, 3.3, "the authors name about 3.0 for TiTok-S-128's last steps")


def healthy_bands(task: str, model: Mapping[str, Any], steps: int) -> list[Band]:
    """Bands of a run of ``task`` over ``steps`` steps with the resolved ``model``.

    There are none where nobody has numbers, or where a run is too short to get anywhere.
    """
    if steps < SHORT_RUN:
        return []
    if task == "stage1":
        choices = model["vqgan"]["codebook_size"]
        bands = _guessing("proxy_code_loss", choices)
        return [bands[0], S128_END] if _is_published_s128(model, steps) else bands
    if task == "generator":
        return _guessing("loss", model["codebook_size"])
    if task == "classifier":
        return _guessing("loss", model["num_classes"])
    return []


def _guessing(metric: str, choices: int) -> list[Band]:
    """Starts where even guessing does, at ln V nats, or already below; ends clearly below."""
    guess = math.log(choices)
    return [
        Band(metric, "start", 0.0, 1.05 * guess, f"ln {choices} = {guess:.2f} is the loss of guessing evenly"),
        Band(metric, "end", 0.0, 0.95 * guess, f"a model that has learned is below the ln {choices} of guessing"),
    ]


def _is_published_s128(model: Mapping[str, Any], steps: int) -> bool:
    shape = (model["encoder"]["width"], model["decoder"]["width"], model["num_latent_tokens"], model["codebook_size"])
    return shape == (512, 512, 128, 4096) and steps >= 500_000


class HealthCheck:
    """Compares the first and the last line of a log with their bands."""

    def __init__(self, bands: list[Band], total_steps: int) -> None:
        self._bands = bands
        self._total_steps = total_steps
        self.findings: list[dict[str, Any]] = []

    def look(self, step: int, summary: Mapping[str, float], *, is_first: bool) -> None:
        """Judges one line of the log, after ``step`` steps; warns where it is outside."""
        moments = {"start": is_first, "end": step == self._total_steps}
        for band in self._bands:
            if not moments[band.moment] or band.metric not in summary:
                continue
            value = summary[band.metric]
            healthy = band.low <= value <= band.high
            self.findings.append({**band._asdict(), "step": step, "value": value, "healthy": healthy})
            if not healthy:
                warnings.warn(
                    f"step {step}: {band.metric} is {value:.4g}, outside the healthy {band.low:.4g} to {band.high:.4g} "
                    f"({band.because}); see docs/training.md",
                    UnhealthyWarning,
                    stacklevel=2,
                )
