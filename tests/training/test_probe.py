"""The linear probe against logistic regression of scikit-learn, and LARS against its formula written out in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from titok.config.probe import ProbeOptimizer
from titok.config.training import Optimizer, Schedule, Training
from titok.runtime.weights import load_model
from titok.training.loop import train
from titok.training.probe import Lars, LinearProbe, LinearProbes, ProbeTask, TrainingFeatures

ADAMW = Optimizer(learning_rate=2e-2, weight_decay=0.0)
LARS = ProbeOptimizer(learning_rate=6.4)


@pytest.mark.parametrize("optimizer", [ADAMW, LARS], ids=["adamw", "lars"])
def test_reads_off_what_logistic_regression_reads_off(tmp_path: Path, optimizer: Optimizer) -> None:
    numbers = np.random.default_rng(0)
    labels = numbers.integers(0, 4, 600)
    centres = numbers.normal(size=(4, 6))
    # Scales that differ by a factor of 10,000: the probe standardises.
    rows = ((centres[labels] + 0.8 * numbers.normal(size=(600, 6))) * np.logspace(-2, 2, 6)).astype(np.float32)
    settings = Training(
        steps=300,
        batch_size=128,
        optimizer=optimizer,
        schedule=Schedule(warmup_steps=0, end_learning_rate=0.0),
        ema_decay=None,
    )
    torch.manual_seed(0)
    probe = LinearProbe(6, 4)
    batches = TrainingFeatures(rows[:400, None], torch.from_numpy(labels[:400]), 128, seed=0)
    output = tmp_path / "out"
    train(ProbeTask(probe, settings), batches, settings, seed=0, config={}, state_dir=tmp_path / "s", output_dir=output)
    state, config = load_model(output)
    again = LinearProbe(**config["model"])
    again.load_state_dict(state)
    found = (again.eval()(torch.from_numpy(rows[400:])).argmax(dim=1).numpy() == labels[400:]).mean()
    standard = rows / rows[:400].std(axis=0)
    expected = (
        LogisticRegression(C=1e6, max_iter=2000).fit(standard[:400], labels[:400]).score(standard[400:], labels[400:])
    )
    assert 0.5 < expected < 0.98
    assert abs(found - expected) < 0.03


def classes_and_tokens(tokens: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(labels, latents (N, K, 2)): the class is written into one of K tokens, which one depends on the class."""
    numbers = np.random.default_rng(seed)
    labels = numbers.integers(0, 8, 1200)
    codes = np.stack([np.cos(labels * np.pi / 4), np.sin(labels * np.pi / 4)], axis=1)
    latents = numbers.normal(size=(1200, tokens, 2))
    latents[np.arange(1200), labels % tokens] += 4 * codes
    return labels, latents.astype(np.float32)


def probed(tmp_path: Path, parts: dict[str, np.ndarray], labels: np.ndarray, optimizer: Optimizer) -> dict[str, float]:
    """Test accuracies of probes that train together."""
    settings = Training(
        steps=150, batch_size=256, optimizer=optimizer, ema_decay=None, max_grad_norm=1e6,
        schedule=Schedule(warmup_steps=0, end_learning_rate=0.0),
    )  # fmt: skip
    probes = {}
    for name, part in parts.items():
        torch.manual_seed(len(name))
        probes[name] = LinearProbe(part.shape[1], 8)
    model, rows = LinearProbes(probes), np.concatenate(list(parts.values()), axis=1)
    batches = TrainingFeatures(rows[:800, None], torch.from_numpy(labels[:800]), 256, seed=0)
    folder = tmp_path / "-".join(parts)
    train(ProbeTask(model, settings), batches, settings, seed=0, config={}, state_dir=folder, output_dir=folder / "out")
    with torch.no_grad():
        found = model.eval()(torch.from_numpy(rows[800:]))
    return {name: float((logits.argmax(1).numpy() == labels[800:]).mean()) for name, logits in found.items()}


@pytest.mark.parametrize("optimizer", [ADAMW, LARS], ids=["adamw", "lars"])
def test_a_reading_says_the_same_whatever_is_read_beside_it(tmp_path: Path, optimizer: Optimizer) -> None:
    labels, latents = classes_and_tokens(4)
    parts = {"mean": latents.mean(axis=1), "concatenate": latents.reshape(1200, -1)}
    together = probed(tmp_path, parts, labels, optimizer)
    for name, part in parts.items():
        assert probed(tmp_path, {name: part}, labels, optimizer)[name] == together[name]


def test_pooling_alone_can_make_fewer_tokens_more_semantic(tmp_path: Path) -> None:
    """The same information at every K: averaged it drowns as K grows, side by side it stays (so a claim asks both)."""
    found = {}
    for tokens in (2, 32):
        labels, latents = classes_and_tokens(tokens)
        parts = {"mean": latents.mean(axis=1), "concatenate": latents.reshape(1200, -1)}
        found[tokens] = probed(tmp_path / str(tokens), parts, labels, ADAMW)
    assert found[32]["mean"] < found[2]["mean"] - 0.3
    assert found[32]["concatenate"] > found[2]["concatenate"] - 0.1


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
