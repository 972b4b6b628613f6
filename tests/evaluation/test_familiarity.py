"""How many tokens images of another kind need: the difference, its interval, and what is said of them.

Run: pytest tests/evaluation/test_familiarity.py
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from titok.config.adaptive_length import LengthRule
from titok.evaluation.familiarity import altered, familiarity_gaps, second_metrics
from titok.evaluation.lengths import Choosing, LengthScores
from titok.models.length_choice import mean_absolute_error
from titok.records.metric import metric_of
from titok.runtime.seed import generator

LENGTHS = (2, 4, 8)
TAG = "l1<0.1"


def scores(places: np.ndarray) -> LengthScores:
    """Of images that need the lengths at these places; 3: one that none satisfies; the shortest is best for it."""
    measured = np.where(np.arange(3) >= places[:, None], 0.05, 0.5)
    measured[places == 3, 0] = 0.4
    choosing = Choosing(LENGTHS, (mean_absolute_error(0.1),), LengthRule(), 16)
    mean = float(np.array(LENGTHS)[places % 3].mean())
    metrics = {
        "rfid@2": 3.0,
        "l1@8": 0.05,
        f"mean_length@{TAG}": mean,
        "codebook_usage@2": 0.5,
        "bits_per_image@2": 8.0,
    }
    return LengthScores(metrics, len(places), choosing, measured, {TAG: places % 3}, {})


def drawn(count: int, *shares: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(3, count, p=shares)


def test_the_gap_is_the_difference_of_mean_lengths() -> None:
    own, second = drawn(200, 0.6, 0.3, 0.1), drawn(120, 0.1, 0.3, 0.6, seed=1)
    found = familiarity_gaps(scores(own), scores(second), paired=False)
    lengths = np.array(LENGTHS)
    assert found.values == pytest.approx(
        {
            f"needed_length@{TAG}": lengths[own].mean(),
            f"second_needed_length@{TAG}": lengths[second].mean(),
            f"familiarity_gap@{TAG}": lengths[second].mean() - lengths[own].mean(),
        }
    )
    contributions = found.contributions[f"familiarity_gap@{TAG}"]
    assert float(contributions.mean()) == pytest.approx(found.values[f"familiarity_gap@{TAG}"])


def test_two_sets_scatter_as_much_as_both_do() -> None:
    """Half the width of a normal interval of that standard error, within what 4,000 draws say."""
    own, second = drawn(200, 0.6, 0.3, 0.1), drawn(120, 0.1, 0.3, 0.6, seed=1)
    found = familiarity_gaps(scores(own), scores(second), paired=False)
    (interval,) = found.intervals(resamples=4000, coverage=0.95, generator=generator(0, "test")).values()
    lengths = np.array(LENGTHS, dtype=float)
    error = np.sqrt(lengths[own].var(ddof=1) / 200 + lengths[second].var(ddof=1) / 120)
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * error, rel=0.06)
    assert interval.low < found.values[f"familiarity_gap@{TAG}"] < interval.high


def test_altered_images_are_paired_with_their_originals() -> None:
    """Where every image needs one step more, other images would show the same."""
    places = drawn(100, 0.5, 0.5, 0.0)
    found = familiarity_gaps(scores(places * 0), scores(places * 0 + 1), paired=True)
    (interval,) = found.intervals(resamples=50, coverage=0.95, generator=generator(0, "test")).values()
    assert (interval.low, interval.high) == (2.0, 2.0)


def test_an_image_that_nothing_satisfies_needs_the_longest_at_least() -> None:
    """Though it was given the shortest, which is best for it."""
    found = familiarity_gaps(scores(np.array([0, 0])), scores(np.array([3, 3, 3])), paired=False)
    assert found.values[f"second_needed_length@{TAG}"] == 8
    assert found.values[f"familiarity_gap@{TAG}"] == 6


def test_alterations() -> None:
    image = torch.arange(12, dtype=torch.float32).reshape(1, 3, 2, 2) / 11
    (turned,) = altered([image], "quarter_turn")
    assert turned[0, 0].tolist() == image[0, 0].T.flip(0).tolist()
    (mirrored,) = altered([image], "mirrored")
    assert mirrored[0, 0].tolist() == image[0, 0].flip(1).tolist()
    (negative,) = altered([image], "negative")
    torch.testing.assert_close(negative + image, torch.ones_like(image))


def test_what_is_said_of_the_other_images_has_names() -> None:
    found = second_metrics(scores(drawn(50, 0.3, 0.3, 0.4)))
    assert set(found) == {"second_rfid@2", "second_l1@8", f"second_mean_length@{TAG}"}
    metric = metric_of("second_rfid@2")
    assert metric is not None
    assert (metric.label, metric.of_features) == ("rFID of the second images, K = 2", True)
    gap = metric_of(f"familiarity_gap@{TAG}")
    assert gap is not None
    assert gap.better == "neither"
    assert metric_of("second_nothing@2") is None
