"""The linear probe, against logistic regression of scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from titok.config.probe import ProbeOptimizer
from titok.config.training import Optimizer, Schedule, Training
from titok.runtime.weights import load_model
from titok.training.loop import train
from titok.training.probe import LinearProbe, ProbeTask, TrainingFeatures

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
    batches = TrainingFeatures(rows[None, :400], torch.from_numpy(labels[:400]), 128, seed=0)
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
