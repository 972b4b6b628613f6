"""ALIT's stage 1: what the code of one length costs (docs/adaptive_length.md); the task sums over the lengths."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from titok.config.alit import LengthProxyLosses
from titok.models.quantizer import Quantized


def length_proxy_losses(
    logits: Tensor,
    base_codes: Tensor,
    codebook: Tensor,
    quantized: Quantized | None,
    iteration: int,
    config: LengthProxyLosses,
) -> dict[str, Tensor]:
    """Cross entropy of logits (B, P, V) against the base's codes (B, P), the error of their expected code, and VQ.

    ``codebook`` (V, E) has the base's code vectors; ``quantized`` is None without a codebook of latents. Everything in
    float32, also under autocast.

    Returns scalars: `loss` to minimise, weighted, and for the log, unweighted, `proxy_code_loss` (nats per position),
    `code_loss` (mean over B, P and E) and `quantizer_loss`, where there is one.
    """
    with torch.autocast(logits.device.type, enabled=False):
        logits = logits.float()
        terms = {
            "proxy_code_loss": F.cross_entropy(
                logits.flatten(0, 1), base_codes.flatten(), label_smoothing=config.label_smoothing
            ),
            "code_loss": F.mse_loss(logits.softmax(dim=-1) @ codebook, codebook[base_codes]),
        }
        loss = config.length_weight(iteration) * terms["proxy_code_loss"] + config.code_weight * terms["code_loss"]
        if quantized is not None:
            terms["quantizer_loss"] = quantized.loss.float()
            loss = loss + config.quantizer_weight * terms["quantizer_loss"]
        return {"loss": loss, **{name: term.detach() for name, term in terms.items()}}
