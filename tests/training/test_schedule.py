"""Learning rates against the released schedulers' values (golden `lr_schedule`)."""

from __future__ import annotations

import json

import numpy as np
import pytest
from golden.rule import HERE, load_golden

from titok.config.training import Schedule
from titok.training.schedule import learning_rate

SETTINGS = json.loads((HERE / "lr_schedule" / "config.json").read_text())


@pytest.mark.parametrize("kind", ["cosine", "constant"])
@pytest.mark.parametrize("name", SETTINGS)
def test_matches_released_schedulers(name: str, kind: str) -> None:
    golden = load_golden("lr_schedule").outputs
    numbers = SETTINGS[name]
    schedule = Schedule(kind=kind, warmup_steps=numbers["warm"], end_learning_rate=numbers["end"])
    rates = [
        learning_rate(int(step), numbers["base"], numbers["total"], schedule) for step in golden[f"{name}/{kind}/steps"]
    ]
    np.testing.assert_allclose(rates, golden[f"{name}/{kind}/lr"], rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", ["cosine", "constant"])
def test_matches_a_whole_released_run(kind: str) -> None:
    expected = load_golden("lr_schedule").outputs[f"tiny/{kind}/sequence"]
    schedule = Schedule(kind=kind, warmup_steps=5, end_learning_rate=3e-5)
    np.testing.assert_allclose([learning_rate(i, 3e-4, 40, schedule) for i in range(45)], expected, rtol=1e-12, atol=0)


def test_first_update_moves_nothing_and_peak_is_reached_after_the_warm_up() -> None:
    schedule = Schedule(warmup_steps=10)
    assert learning_rate(0, 1e-3, 100, schedule) == 0.0
    assert learning_rate(10, 1e-3, 100, schedule) == pytest.approx(1e-3, rel=1e-12)


def test_a_run_that_is_all_warm_up_is_legal() -> None:
    schedule = Schedule(warmup_steps=4)
    assert [learning_rate(i, 1.0, 4, schedule) for i in range(4)] == [0.0, 0.25, 0.5, 0.75]
