"""Which length an image needs: the shortest code whose image is good enough, decided for each image by itself.

No length is computed, and none is decoded, that is longer than the one an image was given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from titok.models.alit import Alit, Code


@dataclass(frozen=True)
class Criterion:
    """When a reconstruction is good enough."""

    name: str
    measure: Callable[[Tensor, Tensor], Tensor]
    """Images and reconstructions, both (B, 3, H, W), these not clamped, to one number each (B,)."""
    threshold: float
    higher_is_better: bool = False
    is_oracle: bool = False
    """Whether it knows more than the image, as a label; what it chooses no receiver could."""

    def is_met(self, values: Tensor) -> Tensor:
        """(B,): strictly better than the threshold."""
        return values > self.threshold if self.higher_is_better else values < self.threshold

    def is_better(self, values: Tensor, others: Tensor) -> Tensor:
        """(B,): strictly better than ``others``."""
        return values > others if self.higher_is_better else values < others


def mean_absolute_error(threshold: float) -> Criterion:
    """L1 below ``threshold``, of values in [0, 1]; the official criterion, on reconstructions as they are."""
    return Criterion("l1", lambda images, restored: (restored - images).abs().mean(dim=(1, 2, 3)), threshold)


class Chosen(NamedTuple):
    """What images became."""

    values: Tensor
    """(B, K) int64, or (B, K, ``latent_dim``) without a codebook: of an image with fewer tokens, the rest is 0."""
    lengths: Tensor
    """(B,) int64, tokens of each image."""
    images: Tensor
    """(B, 3, H, W): reconstructions from these tokens, not clamped."""
    measured: Tensor
    """(B,): by the criterion."""
    met: Tensor
    """(B,) bool: whether the criterion is met; without, the code is what ``otherwise`` says."""
    decoded: Tensor
    """(B,) int64: how many lengths were decoded for each image."""


@torch.no_grad()
def choose_lengths(
    model: Alit,
    images: Tensor,
    criterion: Criterion,
    *,
    otherwise: Literal["best", "longest"] = "best",
    per_image: bool = True,
) -> Chosen:
    """The shortest code of each of ``images`` (B, 3, H, W) that meets ``criterion``.

    ``otherwise``: what an image gets that no length satisfies: the length that came nearest, as officially, or the
    longest. ``per_image=False`` is the official rule: the whole batch has one length, by the mean of its measures.
    """
    best = _Best(model, len(images), images)
    rows = torch.arange(len(images), device=images.device)
    state = model.start(images)
    while True:
        code = model.code(state)
        restored = model.decode(code.vectors)
        values = criterion.measure(images[rows], restored)
        judged = values if per_image else values.mean().expand(len(values))
        is_last = state.iteration + 1 == model.config.iterations
        met = criterion.is_met(judged)
        takes = met | criterion.is_better(judged, best.judged[rows])
        if state.iteration == 0 or (is_last and otherwise == "longest"):
            takes = torch.ones_like(takes)
        best.decoded[rows] += 1
        best.take(rows, takes, code, restored, values, judged, met)
        rows, state = rows[~met], state.of(~met)
        if is_last or not len(rows):
            return best.chosen()
        state = model.encoder.next(state)


class _Best:
    """The code that each image would be given if nothing better came."""

    def __init__(self, model: Alit, size: int, images: Tensor) -> None:
        longest, device = model.config.num_latent_tokens, images.device
        self._quantizes = model.config.latents == "quantized"
        shape = (size, longest) if self._quantizes else (size, longest, model.config.latent_dim)
        self.values = torch.zeros(shape, dtype=torch.int64 if self._quantizes else torch.float32, device=device)
        self.lengths = torch.zeros(size, dtype=torch.int64, device=device)
        self.images = torch.zeros_like(images)
        self.measured, self.judged = (torch.zeros(size, device=device) for _ in range(2))
        self.met = torch.zeros(size, dtype=torch.bool, device=device)
        self.decoded = torch.zeros(size, dtype=torch.int64, device=device)

    def take(
        self, rows: Tensor, takes: Tensor, code: Code, restored: Tensor, values: Tensor, judged: Tensor, met: Tensor
    ) -> None:
        """Remembers the code of those ``rows`` that ``takes`` names."""
        taken = rows[takes]
        tokens = code.quantized.indices if code.quantized is not None else code.vectors
        length = tokens.shape[1]
        self.values[taken] = 0
        self.values[taken, :length] = tokens[takes].to(self.values.dtype)
        self.lengths[taken] = length
        self.images[taken] = restored[takes].to(self.images.dtype)
        self.measured[taken], self.judged[taken] = values[takes].float(), judged[takes].float()
        self.met[taken] = met[takes]

    def chosen(self) -> Chosen:
        """Cut to the longest code that any image has."""
        longest = int(self.lengths.max()) if len(self.lengths) else 0
        return Chosen(self.values[:, :longest], self.lengths, self.images, self.measured, self.met, self.decoded)
