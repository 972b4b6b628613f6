"""The two inception scores against plain numpy, known extremes and the official evaluator's number."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import torch
from golden.rule import load_golden

from titok.errors import ScoreError
from titok.metrics.inception_score import InceptionScore, adm_inception_score, inception_score


def logits(count: int = 101, classes: int = 8) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal((count, classes)) * 3)


def numpy_score(rows: np.ndarray, epsilon: float) -> float:
    probabilities = scipy.special.softmax(rows, axis=1)
    marginal = probabilities.mean(axis=0)
    divergence = probabilities * (np.log(probabilities + epsilon) - np.log(marginal + epsilon))
    return float(np.exp(divergence.sum(axis=1).mean()))


def test_one_split_equals_the_definition() -> None:
    assert inception_score(logits()) == pytest.approx(numpy_score(logits().numpy(), 1e-16), rel=1e-12)


@pytest.mark.parametrize("split_size", [10, 50, 101, 5000])
def test_adm_splits_are_consecutive_and_equally_weighted(split_size: int) -> None:
    rows = logits().numpy()
    parts = [numpy_score(rows[start : start + split_size], 0.0) for start in range(0, len(rows), split_size)]
    assert adm_inception_score(logits(), split_size) == pytest.approx(np.mean(parts), rel=1e-12)


def test_adm_score_depends_on_the_order_of_the_file_and_the_other_does_not() -> None:
    rows = logits()
    by_class = rows[rows.argmax(dim=1).argsort()]
    assert inception_score(by_class) == pytest.approx(inception_score(rows), rel=1e-12)
    assert adm_inception_score(by_class, 10) < 0.9 * adm_inception_score(rows, 10)


@pytest.mark.parametrize("batch_size", [1, 7, 32, 101])
@pytest.mark.parametrize("split_size", [None, 10, 64])
def test_any_batch_size_gives_the_same(batch_size: int, split_size: int | None) -> None:
    whole, streamed = InceptionScore(8, split_size), InceptionScore(8, split_size)
    whole.update(logits())
    for batch in logits().split(batch_size):
        streamed.update(batch)
    assert streamed.compute() == pytest.approx(whole.compute(), rel=1e-12)


def test_extremes() -> None:
    certain = torch.eye(10).repeat(5, 1) * 1e4
    assert inception_score(certain) == pytest.approx(10.0, rel=1e-9)
    assert adm_inception_score(certain) == pytest.approx(10.0, rel=1e-9)
    assert inception_score(torch.zeros(20, 10)) == pytest.approx(1.0, abs=1e-12)
    assert adm_inception_score(certain[:1]) == pytest.approx(1.0)


def test_official_evaluators_number() -> None:
    golden = load_golden("evaluator_metrics").outputs
    score = inception_score(torch.from_numpy(golden["fake_logits"]))
    assert score == pytest.approx(float(golden["metrics"][0]), rel=1e-12)


def test_errors_say_what_was_found() -> None:
    with pytest.raises(ScoreError, match=r"\(2, 3\).*\(batch, 4\)"):
        InceptionScore(4).update(torch.zeros(2, 3))
    with pytest.raises(ScoreError, match="no logits"):
        InceptionScore(4).compute()
    with pytest.raises(ScoreError, match="NaN"):
        inception_score(torch.full((2, 3), torch.nan))


@pytest.mark.parametrize("split_size", [None, 25, 40])
def test_influence_is_the_derivative_by_an_images_weight(split_size: int | None) -> None:
    rows = logits(90)
    score = InceptionScore(8, split_size, epsilon=1e-16)
    score.update(rows)
    found = score.influences(rows.split(13))
    assert float(found.mean()) == pytest.approx(0, abs=1e-12)
    probabilities = rows.softmax(dim=1)

    def weighted(weights: torch.Tensor) -> float:
        values = []
        for part, weight in zip(probabilities.split(split_size or 90), weights.split(split_size or 90), strict=True):
            share = weight / weight.sum()
            marginal = share @ part
            values.append(float(((part * (part.log() - marginal.log())).sum(1) @ share).exp()))
        return float(np.mean(values))

    for image in (0, 30, 89):
        step = torch.zeros(90, dtype=torch.float64)
        step[image] = 1e-5 * 90
        slope = (weighted(1 + step) - weighted(1 - step)) / 2e-5
        assert float(found[image]) == pytest.approx(slope, rel=1e-4)
