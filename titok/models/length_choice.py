"""Which length an image needs: the shortest code whose image is good enough, decided for each image by itself.

No length is computed, and none is decoded, that is longer than the one an image was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from titok.config.adaptive_length import Otherwise
from titok.models.image_tokenizer import Coded, Codes, Ids, ImageTokenizer, Reconstruction


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
    said: str | None = None
    """What scores call the threshold; None: its number."""

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
    model: ImageTokenizer,
    images: Tensor,
    criterion: Criterion,
    *,
    lengths: Sequence[int] | None = None,
    otherwise: Otherwise = "best",
    per_image: bool = True,
) -> Chosen:
    """The shortest code of each of ``images`` (B, 3, H, W) that meets ``criterion``.

    ``lengths``: which ones are chosen from, where codes are nested; null: all there are. ``otherwise``: for images that
    no length satisfies. ``per_image=False`` is the official rule: the whole batch has one length, by the mean of its
    measures.
    """
    facts = model.facts
    allowed = lengths if lengths is not None and facts.is_nested else facts.lengths
    codes, last = model.codes(images, allowed), max(allowed, default=0)
    best = _Best(images, facts.most_tokens or last)
    rows = torch.arange(len(images), device=images.device)
    code: Coded | None = next(codes)
    while code is not None and len(rows):
        restored = model.decode(code.vectors)
        values = criterion.measure(images[rows], restored)
        judged = values if per_image else values.mean().expand(len(values))
        met = criterion.is_met(judged)
        takes = met | criterion.is_better(judged, best.judged[rows]) | (best.lengths[rows] == 0)
        if otherwise == "longest":
            takes = takes | (code.vectors.shape[1] == last)
        best.take(rows, takes, code, restored, values, judged, met)
        rows = rows[~met]
        code = _following(codes, ~met)
    return best.chosen()


def restored_at(model: ImageTokenizer, images: Tensor, lengths: Sequence[int]) -> Iterator[Reconstruction]:
    """Images through their codes of each of ``lengths``, from few to many; of a tokenizer of one length, once."""
    if not model.facts.lengths:
        yield model.reconstruct(images)
        return
    kept, codes = torch.ones(len(images), dtype=torch.bool, device=images.device), model.codes(images, lengths)
    code: Coded | None = next(codes)
    while code is not None:
        yield Reconstruction(model.decode(code.vectors), None if code.ids is None else Ids(code.ids))
        code = _following(codes, kept)


def shortest_sufficient(measured: Tensor, criterion: Criterion, otherwise: Otherwise) -> tuple[Tensor, Tensor]:
    """What `choose_lengths` decides, from measures (B, L) of all lengths: the place of each image's (B,), and whether
    it meets the criterion."""
    met = criterion.is_met(measured)
    nearest = measured.argmax(dim=1) if criterion.higher_is_better else measured.argmin(dim=1)
    fallback = nearest if otherwise == "best" else torch.full_like(nearest, measured.shape[1] - 1)
    return torch.where(met.any(dim=1), met.float().argmax(dim=1), fallback), met.any(dim=1)


def _following(codes: Codes, kept: Tensor) -> Coded | None:
    """The next longer code of the images that are kept; None after the longest, and where none is kept."""
    if not kept.any():
        return None
    try:
        return codes.send(kept)
    except StopIteration:
        return None


class _Best:
    """The code that each image would be given if nothing better came."""

    def __init__(self, images: Tensor, longest: int) -> None:
        size, device = len(images), images.device
        self.longest = longest
        self.values: Tensor | None = None
        """Ids or latents; made when the first code shows what they are."""
        self.lengths = torch.zeros(size, dtype=torch.int64, device=device)
        self.images = torch.zeros_like(images)
        self.measured, self.judged = (torch.zeros(size, device=device) for _ in range(2))
        self.met = torch.zeros(size, dtype=torch.bool, device=device)
        self.decoded = torch.zeros(size, dtype=torch.int64, device=device)

    def take(
        self, rows: Tensor, takes: Tensor, code: Coded, restored: Tensor, values: Tensor, judged: Tensor, met: Tensor
    ) -> None:
        """Remembers the code of those ``rows`` that ``takes`` names."""
        self.decoded[rows] += 1
        taken, length = rows[takes], code.vectors.shape[1]
        found = code.vectors.float() if code.ids is None else code.ids
        if self.values is None:
            self.values = found.new_zeros(len(self.lengths), self.longest, *found.shape[2:])
        self.values[taken] = 0
        self.values[taken, :length] = found[takes]
        self.lengths[taken] = length
        self.images[taken] = restored[takes].to(self.images.dtype)
        self.measured[taken], self.judged[taken] = values[takes].float(), judged[takes].float()
        self.met[taken] = met[takes]

    def chosen(self) -> Chosen:
        """Cut to the longest code that any image has."""
        assert self.values is not None, "a generator of codes yields one at least"
        longest = int(self.lengths.max()) if len(self.lengths) else 0
        return Chosen(self.values[:, :longest], self.lengths, self.images, self.measured, self.met, self.decoded)
