"""Averaged weights against the released EMA (golden `ema`), and the swap used for evaluation and export."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.rule import load_golden
from torch import nn

from titok.training.ema import Ema, decay_of_update


def test_decay_matches_the_released_ramp() -> None:
    golden = load_golden("ema").outputs
    decays = [decay_of_update(int(step), 0.999) for step in golden["steps"]]
    np.testing.assert_allclose(decays, golden["decay"], rtol=1e-12, atol=0)
    np.testing.assert_allclose(
        [decay_of_update(k, 0.999) for k in range(1, 21)], golden["decay_sequence"], rtol=1e-12, atol=0
    )


def test_shadow_matches_a_released_run() -> None:
    golden = load_golden("ema")
    parameter = nn.Parameter(torch.from_numpy(golden.inputs["initial"].copy()))
    ema = Ema({"w": parameter}, 0.999)
    for value, expected in zip(golden.inputs["param_values"], golden.outputs["shadow_sequence"], strict=True):
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(value))
        ema.update()
        # Two units in the last place of 1.0: lerp rounds in another order than the released three operations.
        np.testing.assert_allclose(ema.shadow["w"].numpy(), expected, rtol=0, atol=2.4e-7)


def test_averaged_swaps_and_restores_even_after_an_error() -> None:
    parameter = nn.Parameter(torch.zeros(3))
    ema = Ema({"w": parameter}, 0.5)
    ema.update()
    with torch.no_grad():
        parameter.fill_(4.0)
    ema.update()
    expected = 4.0 * (1 - decay_of_update(2, 0.5))
    with ema.averaged():
        assert torch.allclose(parameter, torch.full((3,), expected))
    with pytest.raises(KeyError), ema.averaged():
        raise KeyError
    assert torch.equal(parameter, torch.full((3,), 4.0))
    with torch.no_grad():
        parameter.fill_(8.0)
    ema.update()
    assert ema.shadow["w"][0] > expected, "after the swap the average must still follow the parameter"


def test_without_decay_the_raw_weights_are_used() -> None:
    parameter = nn.Parameter(torch.ones(2))
    ema = Ema({"w": parameter}, None)
    ema.update()
    with ema.averaged():
        assert torch.equal(parameter, torch.ones(2))
    assert ema.state_dict() == {"num_updates": 0, "shadow": {}}


def test_state_goes_through_a_dict() -> None:
    parameter = nn.Parameter(torch.arange(3.0))
    ema = Ema({"w": parameter}, 0.9)
    for _ in range(3):
        with torch.no_grad():
            parameter.add_(1.0)
        ema.update()
    other = Ema({"w": nn.Parameter(torch.zeros(3))}, 0.9)
    other.load_state_dict(ema.state_dict())
    assert torch.equal(other.shadow["w"], ema.shadow["w"])
    assert other.num_updates == 3
