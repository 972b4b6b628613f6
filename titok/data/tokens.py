"""A dataset turned into tokens: what generators are trained on.

Letters: N images, K latent tokens, B batch. A *view* is one crop or mirror image that was tokenised.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from titok.config.views import MAX_IDS
from titok.data.views import Draws
from titok.errors import TokenError
from titok.runtime.files import load_npz, save_npz
from titok.runtime.npz_rows import mapped_array


class TokenBatch(NamedTuple):
    """Tokens (B, K) int64 and the classes of their images (B,) int64."""

    tokens: torch.Tensor
    labels: torch.Tensor
    lengths: torch.Tensor | None = None
    """(B,) int64: how many tokens each image has, where they differ; the rest is 0 and means nothing."""


@dataclass(frozen=True, eq=False)
class TokenSet:
    """Every view of every image as K tokens."""

    tokens: np.ndarray
    """(N, views, K) uint16; of a file, read from the disk when looked at."""
    labels: np.ndarray
    """(N,) int64 classes."""
    fingerprint: str
    """Fingerprint of the images that were tokenised."""
    views: tuple[str, ...]
    """What each view is, for example ``centre`` or ``centre mirrored``."""
    source: dict[str, Any]
    """Which tokenizer made them, in the words of whoever saved them."""
    lengths: np.ndarray | None = None
    """(N, views) uint16: how many of its K tokens each view has, where they differ; the rest is 0 and means nothing."""

    def __post_init__(self) -> None:
        if self.tokens.ndim != 3 or self.tokens.dtype != np.uint16:
            raise TokenError(f"tokens are {self.tokens.dtype} {self.tokens.shape}; uint16 (N, views, K) is needed")
        if self.labels.shape != (len(self.tokens),):
            raise TokenError(
                f"labels have shape {self.labels.shape}; {len(self.tokens)} images need ({len(self.tokens)},)"
            )
        if len(self.views) != self.tokens.shape[1]:
            raise TokenError(f"{len(self.views)} views are named, but the tokens have {self.tokens.shape[1]} views")
        if self.lengths is not None:
            self._require_lengths(self.lengths)

    def _require_lengths(self, lengths: np.ndarray) -> None:
        if lengths.shape != self.tokens.shape[:2] or lengths.dtype != np.uint16:
            raise TokenError(
                f"lengths are {lengths.dtype} {lengths.shape}; uint16 {self.tokens.shape[:2]}, one for each view of "
                f"each image, are needed"
            )
        if lengths.size and not 1 <= int(lengths.min()) <= int(lengths.max()) <= self.num_tokens:
            raise TokenError(f"lengths go from {lengths.min()} to {lengths.max()}; allowed: 1 to {self.num_tokens}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_tokens(self) -> int:
        """K, of the views that have the most."""
        return int(self.tokens.shape[2])


def save_tokens(
    path: str | Path,
    tokens: np.ndarray | torch.Tensor,
    labels: np.ndarray | torch.Tensor,
    *,
    fingerprint: str,
    views: Sequence[str],
    source: Mapping[str, Any],
    lengths: np.ndarray | None = None,
) -> None:
    """Writes tokens (N, views, K) and labels (N,) with their origin as ``.npz``, atomically.

    ``lengths`` (N, views): how many tokens each view has, where they differ.

    Raises ``TokenError`` for values that 16 bits cannot hold and for shapes that do not fit each other.
    """
    tokens, labels = np.asarray(tokens), np.asarray(labels)
    if not np.issubdtype(tokens.dtype, np.integer):
        raise TokenError(f"tokens are {tokens.dtype}; integers are needed")
    if tokens.size and (tokens.min() < 0 or tokens.max() >= MAX_IDS):
        raise TokenError(
            f"tokens go from {tokens.min()} to {tokens.max()}; allowed: 0 to {MAX_IDS - 1} "
            f"(they are kept in 16 bits), so the codebook may have at most {MAX_IDS} codes"
        )
    token_set = TokenSet(
        tokens.astype(np.uint16, copy=False),
        labels.astype(np.int64),
        fingerprint,
        tuple(views),
        dict(source),
        None if lengths is None else np.asarray(lengths).astype(np.uint16),
    )
    more = {} if token_set.lengths is None else {"lengths": token_set.lengths}
    about = {"fingerprint": fingerprint, "views": list(views), "source": token_set.source}
    written = np.array(json.dumps(about, sort_keys=True))
    save_npz(path, tokens=token_set.tokens, labels=token_set.labels, about=written, **more)


def load_tokens(path: str | Path) -> TokenSet:
    """Opens what ``save_tokens`` wrote; tokens are read once, to compare their sum, and then where they are looked at.

    Raises ``FileError`` for a damaged file, ``TokenError`` for another content.
    """
    arrays = load_npz(path, skip=("tokens",))
    missing = {"labels", "about"} - arrays.keys()
    if missing:
        raise TokenError(
            f"{path} has no array {', '.join(sorted(missing))}; it is no token file: run the tokenize step"
        )
    try:
        about = json.loads(str(arrays["about"]))
        return TokenSet(
            mapped_array(path, "tokens"),
            arrays["labels"],
            about["fingerprint"],
            tuple(about["views"]),
            about["source"],
            arrays.get("lengths"),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise TokenError(f"{path}: {error}; run the tokenize step again") from error


class TrainingTokens:
    """Endless batches of tokens, each a function of the step number alone; a random view per image and step.

    ``batch_size``, ``rank`` and ``world_size`` as in ``titok.data.images.TrainingImages``.
    """

    def __init__(self, token_set: TokenSet, batch_size: int, seed: int, *, rank: int = 0, world_size: int = 1) -> None:
        self._set = token_set
        self._draws = Draws.of(token_set.tokens, batch_size, seed, rank, world_size)

    def batch(self, step: int) -> TokenBatch:
        """Batch ``step`` (from 0): (B, K) int64 and (B,) int64."""
        samples, views = self._draws.columns(step)
        tokens, lengths = self._set.tokens[samples, views], self._set.lengths
        return TokenBatch(
            torch.from_numpy(tokens.astype(np.int64)),
            torch.from_numpy(self._set.labels[samples]),
            None if lengths is None else torch.from_numpy(lengths[samples, views].astype(np.int64)),
        )
