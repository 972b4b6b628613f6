"""Linear layers whose matrix products are the same, and fast, on every processor of portable arithmetic.

MKL's portable matrix products use the instructions of 2001: measured, 15 GFLOP/s on a core whose AVX2 reaches 60.
oneDNN's, told to use AVX2, give the same bits on the processors tried (docs/arithmetic.md) at three times that speed;
so do numpy's, by OpenBLAS, which unlike oneDNN copies nothing to multiply what is transposed: for gradients of weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.flop_counter import register_flop_formula

from titok.runtime.arithmetic import current

_PORTABLE = current() == "portable"
"""Decided before torch was imported, once for all; looking at the environment for every product would take longer."""


class Linear(nn.Linear):
    """``nn.Linear``; in portable arithmetic float32 products on a CPU are oneDNN's, forward and backward."""

    def forward(self, input: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        if not _is_portable(input):
            return super().forward(input)
        rows = input.reshape(-1, self.in_features)
        out = _PortableLinear.apply(rows, self.weight, self.bias)
        return out.view(*input.shape[:-1], self.out_features)


def _is_portable(input: Tensor) -> bool:
    if not _PORTABLE or input.device.type != "cpu" or input.dtype != torch.float32:
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


class _PortableLinear(torch.autograd.Function):
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
