"""Linear layers whose float32 products on a CPU are those of the fastest library that torch can call.

In portable arithmetic they are the same on every processor, too. MKL's portable matrix products use the instructions
of 2001: measured, 15 GFLOP/s on a core whose AVX2 reaches 60. oneDNN's, told to use AVX2, give the same bits on the
processors tried (docs/arithmetic.md) at three times that speed; so do numpy's, by OpenBLAS, which unlike oneDNN copies
nothing to multiply what is transposed: for gradients of weights. In native arithmetic both are taken where MKL leaves
instructions of the processor unused (`titok.runtime.arithmetic.mkl_is_slow`), and MKL stays where it does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.flop_counter import register_flop_formula

from titok.runtime.arithmetic import current, mkl_is_slow

_IS_ONEDNN = torch.backends.mkldnn.is_available() and (current() == "portable" or mkl_is_slow())
"""Decided once for all; looking at the environment for every product would take longer."""


class Linear(nn.Linear):
    """``nn.Linear``; float32 products on a CPU are oneDNN's and OpenBLAS's where MKL's are slower or not portable."""

    def forward(self, input: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        if not _takes_onednn(input):
            return super().forward(input)
        rows = input.reshape(-1, self.in_features)
        out = _OneDNNLinear.apply(rows, self.weight, self.bias)
        return out.view(*input.shape[:-1], self.out_features)


def _takes_onednn(input: Tensor) -> bool:
    if not _IS_ONEDNN or input.device.type != "cpu" or input.dtype != torch.float32:
        return False
    return not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling()


def _product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """left (N, I) times right (O, I) transposed, plus bias (O,)."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return product


_OPERATIONS = torch.library.Library("titok", "DEF")
_OPERATIONS.define("transposed_product(Tensor left, Tensor right) -> Tensor")
_OPERATIONS.impl(
    "transposed_product", lambda left, right: torch.from_numpy(np.matmul(left.numpy().T, right.numpy())), "CPU"
)
# An operation of torch's, so that its counter sees it: left (N, O) transposed times right (N, I).
_transposed_product = torch.ops.titok.transposed_product


@register_flop_formula(torch.ops.mkldnn._linear_pointwise)
def _operations(left: torch.Size, right: torch.Size, *_: Any, **__: Any) -> int:
    """Multiplications and additions of a product, for torch's counter, which knows its own products only."""
    return 2 * left.numel() * right[0]


@register_flop_formula(_transposed_product)
def _operations_transposed(left: torch.Size, right: torch.Size, *_: Any, **__: Any) -> int:
    return 2 * left.numel() * right[1]


class _OneDNNLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(rows, weight)
        ctx.has_bias = bias is not None
        return _product(rows, weight, bias)

    @staticmethod
    @once_differentiable  # numpy's products have no gradient
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        rows, weight = ctx.saved_tensors
        wants_rows, wants_weight, wants_bias = ctx.needs_input_grad
        return (
            _product(gradient, weight.t()) if wants_rows else None,
            _transposed_product(gradient, rows) if wants_weight else None,
            gradient.sum(dim=0) if wants_bias else None,
        )
