"""Codebook use against numpy, known extremes and the official evaluator's numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.rule import load_golden

from titok.errors import ScoreError
from titok.metrics.codebook import CodebookUse


def used(tokens: torch.Tensor, codebook_size: int, batch_size: int = 32) -> CodebookUse:
    use = CodebookUse(codebook_size)
    for batch in tokens.split(batch_size):
        use.update(batch)
    return use


def test_official_evaluators_numbers() -> None:
    golden = load_golden("evaluator_metrics")
    use = used(torch.from_numpy(golden.inputs["codebook_indices"]), 64)
    assert use.usage == float(golden.outputs["metrics"][2])
    assert use.entropy_bits == pytest.approx(float(golden.outputs["metrics"][3]), rel=1e-12)


@pytest.mark.parametrize("batch_size", [1, 13, 100])
def test_counts_do_not_depend_on_batches(batch_size: int) -> None:
    tokens = torch.randint(0, 50, (100, 4), generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(used(tokens, 50, batch_size).counts, np.bincount(tokens.flatten(), minlength=50))


def test_even_use() -> None:
    use = used(torch.arange(64).repeat(3), 64)
    assert use.usage == 1.0
    assert use.entropy_bits == pytest.approx(6.0, abs=1e-5)
    assert use.perplexity == pytest.approx(64.0, abs=1e-3)


def test_one_code_of_many() -> None:
    use = used(torch.full((10, 2), 3), 8)
    assert use.usage == 1 / 8
    assert use.entropy_bits == pytest.approx(0.0, abs=1e-6)
    assert use.perplexity == pytest.approx(1.0, abs=1e-6)


def test_entropy_of_uneven_use() -> None:
    """Frequencies 1/2, 1/4, 1/4 have 1.5 bits."""
    assert used(torch.tensor([0, 0, 1, 2]), 4).entropy_bits == pytest.approx(1.5, abs=1e-6)


@pytest.mark.parametrize("token", [-1, 8, 100])
def test_ids_outside_the_codebook_are_refused(token: int) -> None:
    with pytest.raises(ScoreError, match=r"1 token ids are outside.*0 to 7"):
        _ = used(torch.tensor([0, 1, token]), 8).usage


def test_no_tokens_are_refused() -> None:
    with pytest.raises(ScoreError, match="no tokens"):
        _ = CodebookUse(8).entropy_bits
