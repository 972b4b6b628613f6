"""The generator's loss against the official code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden.rule import load_golden

from titok.config.training import MaskedTokenLosses
from titok.losses.masked_token import masked_token_loss

CASES = ("main", "nosmooth", "unmasked0", "official_size")


def golden_logits(shape: tuple[int, int, int]) -> torch.Tensor:
    """The logits of a golden case by its rule (extra.json)."""
    batch, num_tokens, codebook_size = shape
    rng = np.random.Generator(np.random.PCG64(7100 + codebook_size + num_tokens))
    logits = rng.standard_normal(shape, dtype=np.float32) * 2
    targets = rng.integers(0, codebook_size, (batch, num_tokens))
    rng.random((batch, num_tokens))  # the masks, which are stored
    raised = rng.random((batch, num_tokens)) < 0.5
    np.put_along_axis(
        logits, targets[..., None], np.take_along_axis(logits, targets[..., None], -1) + 8 * raised[..., None], -1
    )
    return torch.from_numpy(logits)


@pytest.mark.parametrize("case", CASES)
def test_loss_accuracy_and_gradient_are_the_official_ones(case: str) -> None:
    golden = load_golden("loss_mlm")
    settings = golden.extra["cases"][case]
    logits = golden_logits(tuple(settings["shape"])).requires_grad_()
    targets = torch.from_numpy(golden.inputs[f"{case}/targets"]).long()
    mask = torch.from_numpy(golden.inputs[f"{case}/masks"])
    weights = MaskedTokenLosses(
        label_smoothing=settings["label_smoothing"], unmasked_weight=settings["loss_weight_unmasked_token"]
    )
    found = masked_token_loss(logits, targets, mask, weights)
    found.loss.backward()
    np.testing.assert_allclose(found.loss.item(), golden.outputs[f"{case}/loss"], rtol=1e-5)
    np.testing.assert_allclose(found.accuracy.item(), golden.outputs[f"{case}/correct_tokens"], rtol=1e-5)
    rows, columns = golden.extra["gradient_strides"][case]
    gradient = logits.grad[:, ::rows, ::columns].numpy()
    exact = gradient_in_float64(logits, targets, mask, weights)[:, ::rows, ::columns].numpy()
    np.testing.assert_allclose(gradient, exact, rtol=1e-5, atol=1e-9)
    # The official gradient is itself up to 3.9e-9 from float64's (official_size): its softmax is along a dimension that
    # is not the last, for which torch has a less exact kernel.
    np.testing.assert_allclose(gradient, golden.outputs[f"{case}/grad_logits"], rtol=1e-5, atol=5e-9)


def gradient_in_float64(
    logits: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor, weights: MaskedTokenLosses
) -> torch.Tensor:
    """(B, K, V) gradient of the loss written down a second time."""
    wide = logits.detach().double().requires_grad_()
    log_probs, smoothing = wide.log_softmax(dim=-1), weights.label_smoothing
    true = log_probs.gather(-1, targets[..., None])[..., 0]
    entropy = -(1 - smoothing) * true - smoothing * log_probs.mean(dim=-1)
    weight = torch.where(mask, 1.0, weights.unmasked_weight).double()
    ((weight * entropy).sum() / weight.sum()).backward()
    return wide.grad


def test_weights_by_hand() -> None:
    """Two tokens, uniform logits over 4 codes: both cost log 4, whatever their weights."""
    logits = torch.zeros(1, 2, 4)
    weights = MaskedTokenLosses(label_smoothing=0.0, unmasked_weight=0.25)
    found = masked_token_loss(logits, torch.tensor([[0, 1]]), torch.tensor([[True, False]]), weights)
    assert found.loss.item() == pytest.approx(np.log(4))
    # Costs of 0 and log 4 (masked and not): the unmasked one weighs a quarter.
    logits = torch.zeros(1, 2, 4)
    logits[0, 0, 0] = 100
    found = masked_token_loss(logits, torch.tensor([[0, 1]]), torch.tensor([[True, False]]), weights)
    assert found.loss.item() == pytest.approx(0.25 * np.log(4) / 1.25)
    assert found.accuracy.item() == pytest.approx(1.0)


def test_half_precision_logits_are_compared_in_float32() -> None:
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0)).bfloat16()
    targets, mask = torch.zeros(2, 3, dtype=torch.int64), torch.ones(2, 3, dtype=torch.bool)
    weights = MaskedTokenLosses()
    assert masked_token_loss(logits, targets, mask, weights).loss.dtype == torch.float32
    torch.testing.assert_close(
        masked_token_loss(logits, targets, mask, weights), masked_token_loss(logits.float(), targets, mask, weights)
    )
