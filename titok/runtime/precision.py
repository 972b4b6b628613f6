"""Forward passes without gradients, in reduced precision where that is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

PRECISIONS: dict[str, torch.dtype | None] = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Types of autocast; None: no autocast."""


@contextmanager
def inference(device: torch.device, precision: str, *models: object) -> Iterator[None]:
    """No gradients inside the block, and autocast to a ``precision`` of `PRECISIONS`; each weight of ``models`` is cast
    once, and quantizers stay in float32 in any case.

    Autocast keeps the casts of weights that want gradients and makes all others again in every forward pass: for a
    generator of 177 million parameters 1 GB of traffic per step, most of the time at small batches. So weights want
    gradients while the block lasts, and get none.
    """
    dtype = PRECISIONS[precision]
    frozen = [
        parameter
        for model in models
        if dtype is not None and isinstance(model, nn.Module)
        for parameter in model.parameters()
        if not parameter.requires_grad and parameter.is_floating_point()
    ]
    with torch.no_grad(), torch.autocast(device.type, dtype, enabled=dtype is not None):
        try:
            for parameter in frozen:
                parameter.requires_grad_(True)
            yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(False)
