"""Stage 1: predict the proxy codes of a frozen VQGAN (paper section 3.2, specification 7.1)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from titok.config.training import ProxyCodeLosses
from titok.models.quantizer import Quantized


def proxy_code_losses(
    logits: Tensor, proxy_codes: Tensor, quantized: Quantized, config: ProxyCodeLosses
) -> dict[str, Tensor]:
    """Cross entropy of the decoder's logits (B, P, V) against the proxy codes (B, P), plus the quantizer's loss.

    P counts patches in row-major order, V proxy codes. Everything in float32, also under autocast.

    Returns scalars: `loss` to minimise, which is the sum of `proxy_code_loss` (nats per patch) and `quantizer_loss`
    (weighted), and, for the log, the quantizer's parts as they are: `commitment_loss`, `codebook_loss`.
    """
    with torch.autocast(logits.device.type, enabled=False):
        proxy_code_loss = F.cross_entropy(logits.float().flatten(0, 1), proxy_codes.flatten())
        quantizer_loss = config.quantizer_weight * quantized.loss.float()
        return {
            "loss": proxy_code_loss + quantizer_loss,
            "proxy_code_loss": proxy_code_loss.detach(),
            "quantizer_loss": quantizer_loss.detach(),
            "commitment_loss": quantized.commitment_loss.detach(),
            "codebook_loss": quantized.codebook_loss.detach(),
        }
