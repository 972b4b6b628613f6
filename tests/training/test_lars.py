"""LARS against the formula written out in numpy, and its verdict on accidents.

Run: pytest tests/training/test_lars.py
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from titok.training.lars import Lars


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_matrices_move_by_a_share_of_their_length_and_vectors_by_momentum(weight_decay: float) -> None:
    draws = np.random.default_rng(0)
    weights = {"matrix": draws.normal(size=(3, 4)), "bias": draws.normal(size=3)}
    parameters = {name: nn.Parameter(torch.from_numpy(value.copy())) for name, value in weights.items()}
    optimizer = Lars(parameters.values(), 0.5, weight_decay=weight_decay, momentum=0.9, trust_coefficient=0.01)
    momentum = {name: np.zeros_like(value) for name, value in weights.items()}
    for _ in range(3):
        gradients = {name: draws.normal(size=value.shape) for name, value in weights.items()}
        for name, parameter in parameters.items():
            parameter.grad = torch.from_numpy(gradients[name])
        optimizer.step()
        update = gradients["matrix"] + weight_decay * weights["matrix"]
        update = update * 0.01 * np.linalg.norm(weights["matrix"]) / np.linalg.norm(update)
        for name, step in {"matrix": update, "bias": gradients["bias"]}.items():
            momentum[name] = 0.9 * momentum[name] + step
            weights[name] = weights[name] - 0.5 * momentum[name]
            np.testing.assert_allclose(parameters[name].detach().numpy(), weights[name], rtol=1e-12)


def test_zero_weights_move_too() -> None:
    parameter = nn.Parameter(torch.zeros(2, 2))
    parameter.grad = torch.ones(2, 2)
    Lars([parameter], 0.1).step()
    assert torch.allclose(parameter, torch.tensor(-0.1))


def test_an_accident_leaves_everything_as_it_is() -> None:
    parameter = nn.Parameter(torch.ones(2, 2))
    optimizer = Lars([parameter], 0.1)
    parameter.grad = torch.ones(2, 2)
    optimizer.step()
    before = parameter.detach().clone(), optimizer.state[parameter]["momentum"].clone()
    parameter.grad = torch.full((2, 2), torch.nan)
    optimizer.found_inf = torch.ones(())
    optimizer.step()
    assert torch.equal(parameter, before[0])
    assert torch.equal(optimizer.state[parameter]["momentum"], before[1])
