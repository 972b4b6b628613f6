"""Which length an image needs: the shortest code whose image is good enough, decided for each image by itself.

No length is computed, and none is decoded, that is longer than the one an image was given.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from titok.config.adaptive_length import Otherwise
from titok.errors import ModelError
from titok.models.alit import Alit, Code
from titok.models.image_tokenizer import Ids, ImageTokenizer, Reconstruction
from titok.models.tokenizer import TiTok

WithLengths: TypeAlias = Alit | TiTok


def with_lengths(model: ImageTokenizer) -> WithLengths:
    """``model``, of which lengths can be chosen; raises `ModelError` where it is of another class."""
    if not isinstance(model, Alit | TiTok):
        raise ModelError(
            f"a {type(model).__name__} has codes of one length; an ALIT or a TiTok with tail drop has more"
        )
    return model


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


Codes = Generator[Code, Tensor, None]
"""Codes of growing length of the images that are still looked at; it is sent which of them (B',) bool stay."""


def recurrent_codes(model: Alit, images: Tensor) -> Codes:
    """Each length of ALIT, computed when it is asked for."""
    state = model.start(images)
    while True:
        kept = yield model.code(state)
        if state.iteration + 1 == model.config.iterations:
            return
        state = model.encoder.next(state.of(kept))


def prefix_codes(model: TiTok, images: Tensor, lengths: Sequence[int]) -> Codes:
    """The first tokens of one and the same code, of a TiTok that was trained with tail drop."""
    if model.config.tail_drop == "off" or not lengths or max(lengths) > model.config.num_latent_tokens:
        raise ModelError(
            f"lengths {list(lengths)} were asked for of a tokenizer of {model.config.num_latent_tokens} tokens with "
            f"tail_drop {model.config.tail_drop!r}; only one trained with tail drop decodes fewer than all"
        )
    quantized = model.quantize(model.encode(images))
    for length in sorted(lengths):
        shorter = quantized._replace(
            z_quantized=quantized.z_quantized[:, :length], indices=quantized.indices[:, :length]
        )
        kept = yield Code(shorter.z_quantized, shorter)
        quantized = quantized._replace(z_quantized=quantized.z_quantized[kept], indices=quantized.indices[kept])


@torch.no_grad()
def choose_lengths(
    model: WithLengths,
    images: Tensor,
    criterion: Criterion,
    *,
    lengths: Sequence[int] | None = None,
    otherwise: Otherwise = "best",
    per_image: bool = True,
) -> Chosen:
    """The shortest code of each of ``images`` (B, 3, H, W) that meets ``criterion``.

    ``lengths``: which ones a TiTok may choose from; null: all from 1 to K. ALIT has its own. ``otherwise``: for images
    that no length satisfies. ``per_image=False`` is the official rule: the whole batch has one length, by the mean of
    its measures.
    """
    if isinstance(model, Alit):
        codes, longest, dim = recurrent_codes(model, images), model.config.num_latent_tokens, model.config.latent_dim
        last = model.config.num_latent_tokens
    else:
        longest, dim = model.config.num_latent_tokens, model.config.code_dim
        lengths = tuple(range(1, longest + 1)) if lengths is None else lengths
        codes, last = prefix_codes(model, images, lengths), max(lengths, default=0)
    best = _Best(images, longest, dim)
    rows = torch.arange(len(images), device=images.device)
    code: Code | None = next(codes)
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
    several, kept = with_lengths(model), torch.ones(len(images), dtype=torch.bool, device=images.device)
    codes = recurrent_codes(several, images) if isinstance(several, Alit) else prefix_codes(several, images, lengths)
    code: Code | None = next(codes)
    while code is not None:
        yield Reconstruction(several.decode(code.vectors), Ids(code.quantized.indices) if code.quantized else None)
        code = _following(codes, kept)


def shortest_sufficient(measured: Tensor, criterion: Criterion, otherwise: Otherwise) -> tuple[Tensor, Tensor]:
    """What `choose_lengths` decides, from measures (B, L) of all lengths: the place of each image's (B,), and whether
    it meets the criterion."""
    met = criterion.is_met(measured)
    nearest = measured.argmax(dim=1) if criterion.higher_is_better else measured.argmin(dim=1)
    fallback = nearest if otherwise == "best" else torch.full_like(nearest, measured.shape[1] - 1)
    return torch.where(met.any(dim=1), met.float().argmax(dim=1), fallback), met.any(dim=1)


def _following(codes: Codes, kept: Tensor) -> Code | None:
    """The next longer code of the images that are kept; None after the longest, and where none is kept."""
    if not kept.any():
        return None
    try:
        return codes.send(kept)
    except StopIteration:
        return None


class _Best:
    """The code that each image would be given if nothing better came."""

    def __init__(self, images: Tensor, longest: int, latent_dim: int) -> None:
        size, device = len(images), images.device
        self.tokens = torch.zeros(size, longest, dtype=torch.int64, device=device)
        self.vectors = torch.zeros(size, longest, latent_dim, device=device)
        self._quantizes = True
        self.lengths = torch.zeros(size, dtype=torch.int64, device=device)
        self.images = torch.zeros_like(images)
        self.measured, self.judged = (torch.zeros(size, device=device) for _ in range(2))
        self.met = torch.zeros(size, dtype=torch.bool, device=device)
        self.decoded = torch.zeros(size, dtype=torch.int64, device=device)

    def take(
        self, rows: Tensor, takes: Tensor, code: Code, restored: Tensor, values: Tensor, judged: Tensor, met: Tensor
    ) -> None:
        """Remembers the code of those ``rows`` that ``takes`` names."""
        self.decoded[rows] += 1
        taken, length = rows[takes], code.vectors.shape[1]
        self._quantizes = code.quantized is not None
        if code.quantized is not None:
            self.tokens[taken, :length] = code.quantized.indices[takes]
        else:
            self.vectors[taken] = 0
            self.vectors[taken, :length] = code.vectors[takes].float()
        self.lengths[taken] = length
        self.images[taken] = restored[takes].to(self.images.dtype)
        self.measured[taken], self.judged[taken] = values[takes].float(), judged[takes].float()
        self.met[taken] = met[takes]

    def chosen(self) -> Chosen:
        """Cut to the longest code that any image has."""
        longest = int(self.lengths.max()) if len(self.lengths) else 0
        values = self.tokens if self._quantizes else self.vectors
        return Chosen(values[:, :longest], self.lengths, self.images, self.measured, self.met, self.decoded)
