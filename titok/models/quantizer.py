"""The bottleneck: nearest codebook entries (vq) or a Gaussian posterior (vae).

Paper section 3.2; details: specification 2. Both always compute in float32, whatever autocast says:
half precision moves tokens to other codes. So does TF32 where the device settings allow it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from titok.runtime.processes import gathered, place
from titok.runtime.search import argmin

USAGE_DECAY = 0.99
"""CVQ-VAE: how slowly the running usage of a code follows the batches."""


class Quantized(NamedTuple):
    """What a vector quantizer returns; losses are scalars, means over all B x K x E elements."""

    z_quantized: Tensor
    """(B, K, E) float32: the chosen codes; gradients pass straight through to the encoder."""
    indices: Tensor
    """(B, K) int64 in [0, V)."""
    commitment_loss: Tensor
    """Pulls latents to their codes; already multiplied by the commitment weight."""
    codebook_loss: Tensor
    """Pulls codes to their latents."""
    loss: Tensor
    """Sum of both."""


class VectorQuantizer(nn.Module):
    """Replaces every latent vector by the nearest of V codes, with a straight-through gradient.

    With ``use_l2_norm`` latents and codes are compared, and returned, as unit vectors, and the gradients of both losses
    pass through the normalisations. ``reanchor`` moves rarely used codes onto nearby features after every training
    step (CVQ-VAE, Zheng & Vedaldi 2023), as the released single-stage recipes do; a step whose batch goes through in
    several passes says so by ``passes_per_step``.
    """

    def __init__(
        self,
        codebook_size: int,
        code_dim: int,
        *,
        use_l2_norm: bool = False,
        commitment_weight: float = 0.25,
        reanchor: bool = False,
    ) -> None:
        super().__init__()
        self.codebook_size = codebook_size
        self.use_l2_norm = use_l2_norm
        self.commitment_weight = commitment_weight
        self.reanchor = reanchor
        self.passes_per_step = 1
        self._passed: list[tuple[Tensor, Tensor, Tensor]] = []
        self.embedding = nn.Embedding(codebook_size, code_dim)
        nn.init.uniform_(self.embedding.weight, -1.0 / codebook_size, 1.0 / codebook_size)
        if reanchor:
            self.register_buffer("embed_prob", torch.zeros(codebook_size))
        self.embed_prob: Tensor

    def forward(self, z: Tensor) -> Quantized:
        """Quantises latents (B, K, E); see `Quantized`."""
        with torch.autocast(device_type=z.device.type, enabled=False):
            features = z.float()
            z = F.normalize(features, dim=-1) if self.use_l2_norm else features
            with torch.no_grad():
                distances = self._distances(z.flatten(0, -2))
                indices = argmin(distances).view(z.shape[:-1])
            z_quantized = self.lookup(indices)
            commitment_loss = self.commitment_weight * F.mse_loss(z, z_quantized.detach())
            codebook_loss = F.mse_loss(z_quantized, z.detach())
            straight_through = z + (z_quantized - z).detach()
            if self.reanchor and self.training:
                self._passed.append((features.detach().flatten(0, -2), indices.flatten(), distances))
                if len(self._passed) == self.passes_per_step:
                    self._reanchor(*(torch.cat(parts) for parts in zip(*self._passed, strict=True)))
                    self._passed.clear()
        return Quantized(straight_through, indices, commitment_loss, codebook_loss, commitment_loss + codebook_loss)

    def lookup(self, indices: Tensor) -> Tensor:
        """The codes (..., E) float32 of ``indices`` (...), as unit vectors with ``use_l2_norm``."""
        codes = self.embedding(indices)
        return F.normalize(codes, dim=-1) if self.use_l2_norm else codes

    @torch.no_grad()
    def init_from(self, z: Tensor, generator: torch.Generator) -> None:
        """Draws the codebook from latents (B, K, E) instead of uniformly around zero.

        Every latent is used before any is used twice. With fewer latents than codes, repeated ones get noise of a
        hundredth of the latents' spread so that no two codes coincide. ``generator`` is a CPU generator. All processes
        draw the same codes, from the latents of all.
        """
        candidates = gathered(z.detach().flatten(0, -2).float())
        repeats = -(-self.codebook_size // len(candidates))
        order = torch.cat([torch.randperm(len(candidates), generator=generator) for _ in range(repeats)])
        codes = candidates[order[: self.codebook_size].to(candidates.device)]
        if repeats > 1:
            noise = torch.randn(codes.shape, generator=generator).to(codes.device)
            noise[: len(candidates)] = 0
            codes = codes + 0.01 * candidates.std(dim=0, correction=0).clamp_min(1e-6) * noise
        self.embedding.weight.copy_(codes)

    def _distances(self, z: Tensor) -> Tensor:
        """Squared distances (N, V) of the rows of ``z`` to all codes, in the released code's formula."""
        codes = self.embedding.weight
        if self.use_l2_norm:
            codes = F.normalize(codes, dim=-1)
        norms = z.square().sum(dim=1, keepdim=True) + codes.square().sum(dim=1)
        return torch.addmm(norms, z, codes.t(), alpha=-2.0)

    @torch.no_grad()
    def _reanchor(self, features: Tensor, indices: Tensor, distances: Tensor) -> None:
        """Moves each code towards its nearest feature, the more the less it was used (specification 2.1).

        ``distances`` (N, V) are those of this process. All processes see the features of all, so that their codebooks
        stay equal.
        """
        if place().world_size > 1:
            features, indices = gathered(features), gathered(indices)
            distances = self._distances(F.normalize(features, dim=-1) if self.use_l2_norm else features)
        # Not `bincount`, which asks a GPU for its largest index and so waits for it at every step.
        counts = torch.zeros(self.codebook_size, dtype=torch.int64, device=indices.device)
        share = counts.scatter_add_(0, indices, torch.ones_like(indices)) / len(indices)
        self.embed_prob.mul_(USAGE_DECAY).add_(share, alpha=1 - USAGE_DECAY)
        scaled_usage = self.embed_prob * self.codebook_size * 10
        alpha = torch.exp(-scaled_usage / (1 - USAGE_DECAY) - 1e-3).unsqueeze(1)
        nearest = features.index_select(0, argmin(distances.t().contiguous()))
        self.embedding.weight.copy_((1 - alpha) * self.embedding.weight + alpha * nearest)


class GaussianPosterior:
    """A diagonal Gaussian per latent token, from moments (B, K, 2E): means first, then log-variances.

    Log-variances are clamped to [-30, 20] (specification 2.2).
    """

    def __init__(self, moments: Tensor) -> None:
        mean, logvar = moments.float().chunk(2, dim=-1)
        self.mean = mean
        self.logvar = logvar.clamp(-30.0, 20.0)

    def __iter__(self) -> Iterator[Tensor]:
        """Mean, then log-variance: ``mean, logvar = posterior``."""
        return iter((self.mean, self.logvar))

    @property
    def std(self) -> Tensor:
        """(B, K, E) standard deviations."""
        return torch.exp(0.5 * self.logvar)

    def sample(self, noise: Tensor) -> Tensor:
        """(B, K, E): mean + std * noise; ``noise`` is standard normal (B, K, E), drawn by the caller."""
        return self.mean + self.std * noise

    def kl(self) -> Tensor:
        """(B, K): divergence from the standard normal in nats, summed over the E channels of each token."""
        return 0.5 * (self.mean.square() + self.logvar.exp() - 1.0 - self.logvar).sum(dim=-1)
