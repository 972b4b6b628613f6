"""Sampler settings: the published records are complete and impossible values are refused in words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from titok.config.sampling import PUBLISHED_SAMPLERS, Sampler


def test_published_records_follow_the_official_settings() -> None:
    # Specification 5: steps, randomize_temperature, guidance_scale (its power-cosine scale counts from 1), decay.
    official = {
        "titok-l-32": (8, 9.5, 4.5, "linear"),
        "titok-b-64": (8, 11.0, 3.0, "linear"),
        "titok-s-128": (64, 2.8, 6.9 - 1, "power_cosine"),
    }
    assert PUBLISHED_SAMPLERS.keys() == official.keys()
    for name, (steps, temperature, scale, schedule) in official.items():
        sampler = PUBLISHED_SAMPLERS[name]
        assert (sampler.num_steps, sampler.choice_temperature, sampler.guidance_schedule) == (
            steps,
            temperature,
            schedule,
        )
        assert sampler.guidance_scale == pytest.approx(scale)
        assert sampler.softmax_temperature_annealing
        assert sampler.mask_schedule == "arccos"
        assert sampler.guidance_power == 3.0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"num_steps": 0}, "num_steps"),
        ({"guidance_scale": -1.0}, "guidance_scale"),
        ({"guidance_scale": float("inf")}, "finite number"),
        ({"choice_temperature": float("nan")}, "choice_temperature"),
        ({"guidance_power": 0.0}, "guidance_power"),
        ({"guidance_power": float("inf")}, "guidance_power"),
        ({"mask_schedule": "sine"}, "arccos"),
        ({"guidance_schedule": "power-cosine"}, "power_cosine"),
        ({"randomize_temperature": 4.5}, "randomize_temperature"),
    ],
)
def test_impossible_values_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Sampler.model_validate(values)
