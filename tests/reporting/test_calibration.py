"""How often each kind of judgement is wrong, by simulation; docs/claims.md shows the same table.

Run: pytest tests/reporting/test_calibration.py
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from titok.reporting import calibration as simulated
from titok.reporting.calibration import KINDS, REPETITIONS, Rates, calibration, calibration_markdown

ALLOWED = float(stats.binom.ppf(0.999, REPETITIONS, 0.05)) / REPETITIONS
"""Five per cent, and what so many repetitions may show of it by chance, once in a thousand times."""


@pytest.mark.parametrize("rates", calibration(), ids=lambda rates: rates.kind.name)
def test_both_kinds_of_error_are_rare(rates: Rates) -> None:
    assert rates.wrongly_agrees <= ALLOWED
    assert rates.wrongly_differs <= ALLOWED


@pytest.mark.parametrize("rates", calibration(), ids=lambda rates: rates.kind.name)
def test_every_kind_can_be_decided(rates: Rates) -> None:
    """A judgement that never says anything makes no errors either."""
    assert rates.needed is not None


def test_the_measure_finds_a_judgement_that_is_too_bold(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interval of the mean instead of one more seed's says `agrees` of one in four that it must not."""
    kind = dataclasses.replace(KINDS[0], draw=_bold)
    monkeypatch.setattr(simulated, "KINDS", (kind,))
    assert simulated._measured(kind).wrongly_agrees > 0.15


def _bold(random: np.random.Generator, truth: float, count: int):
    found = simulated.combine([simulated._seeds(random, truth, count)], [1.0])
    return simulated.judge(simulated.Statement.near(found, random.normal(), simulated.TOLERANCE))


def test_numbers_further_off_are_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the tolerance away `agrees` is said no more, and `differs` often."""
    words = simulated._said(KINDS[0], 2 * KINDS[0].edge, 10, 400)
    assert words.count("agrees") == 0
    assert words.count("differs") > 300


def test_the_table_has_a_row_per_kind() -> None:
    lines = calibration_markdown(calibration()).splitlines()
    assert len(lines) == 2 + len(KINDS)
    assert all(line.count("|") == 7 for line in lines)
