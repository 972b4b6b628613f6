"""Stage 1's loss gives the official numbers.

Run: pytest tests/losses/test_proxy_code.py
"""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from golden.rule import load_golden

from titok.config.training import ProxyCodeLosses
from titok.losses.proxy_code import proxy_code_losses
from titok.models.quantizer import Quantized


def quantized(loss: float, commitment: float, codebook: float) -> Quantized:
    return Quantized(
        torch.zeros(1, 1, 1),
        torch.zeros(1, 1, dtype=torch.int64),
        commitment_loss=torch.tensor(commitment),
        codebook_loss=torch.tensor(codebook),
        loss=torch.tensor(loss),
    )


def test_terms_and_gradient_match_the_official_code() -> None:
    golden = load_golden("loss_stage1")
    draws = np.random.Generator(np.random.PCG64(7000)).standard_normal((2, 1024, 16, 16), dtype=np.float32) * 3
    assert zlib.crc32(draws.tobytes()) == golden.inputs["logits_crc32"]
    maps = torch.from_numpy(draws).requires_grad_()
    codes = torch.from_numpy(golden.inputs["target_codes"]).long()
    losses = quantized(*golden.inputs["quantizer_losses"].tolist())

    terms = proxy_code_losses(maps.flatten(2).transpose(1, 2), codes, losses, ProxyCodeLosses())
    names = ("loss", "proxy_code_loss", "quantizer_loss", "commitment_loss", "codebook_loss")
    ours = torch.stack([terms[name] for name in names])
    torch.testing.assert_close(ours, torch.from_numpy(golden.outputs["loss_dict"]), rtol=1e-5, atol=0)
    terms["loss"].backward()
    assert maps.grad is not None
    wanted = torch.from_numpy(golden.outputs["grad_logits"])
    torch.testing.assert_close(maps.grad[:, ::32, ::2, ::2], wanted, rtol=1e-4, atol=1e-5 * wanted.abs().max().item())


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_quantizer_is_weighted(weight: float) -> None:
    logits, codes = torch.zeros(2, 3, 8), torch.zeros(2, 3, dtype=torch.int64)
    terms = proxy_code_losses(logits, codes, quantized(2.0, 0.5, 1.5), ProxyCodeLosses(quantizer_weight=weight))
    assert terms["loss"].item() == pytest.approx(np.log(8) + weight * 2)


def test_float32_under_autocast() -> None:
    logits = (torch.randn(2, 4, 16) * 30).bfloat16()
    codes = torch.randint(16, (2, 4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = proxy_code_losses(logits, codes, quantized(0, 0, 0), ProxyCodeLosses())["loss"]
    assert loss.dtype == torch.float32
    expected = torch.nn.functional.cross_entropy(logits.double().flatten(0, 1), codes.flatten())
    torch.testing.assert_close(loss.double(), expected, rtol=1e-6, atol=0)
