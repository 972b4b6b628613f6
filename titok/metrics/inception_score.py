"""Inception score (Salimans et al. 2016): exp of the mean KL divergence from p(y|x) to p(y).

Two recipes are in use and differ by several percent, so they have two names here. The official tokenizer evaluator
takes all images as one split and adds 1e-16 inside the logarithms (specification 10.1); ADM's evaluator averages the
scores of consecutive splits of 5000 images *in file order* and adds nothing (specification 10.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from titok.errors import ScoreError
from titok.runtime.elementwise import log

OFFICIAL_EPSILON = 1e-16
ADM_SPLIT_SIZE = 5000


class InceptionScore:
    """Streams logits into the score; keeps two numbers per class and split, not the logits.

    The score needs only sums: mean KL = mean_i sum_y p log p - sum_y q log q with q the mean of p.

    Args:
        num_classes: C, columns of the logits.
        split_size: images per split in the order they come; null is one split.
        epsilon: added inside both logarithms.
        device: where the sums are kept.
    """

    def __init__(
        self,
        num_classes: int,
        split_size: int | None = None,
        epsilon: float = 0.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.num_classes = num_classes
        self.split_size = split_size
        self.epsilon = epsilon
        self.device = torch.device(device)
        self._probability_sums: list[Tensor] = []
        self._negentropy_sums: list[Tensor] = []
        self._counts: list[int] = []

    def update(self, logits: Tensor) -> None:
        """Adds the logits (B, C) of the next images.

        Raises:
            ScoreError: the logits do not have C columns.
        """
        if logits.ndim != 2 or logits.shape[1] != self.num_classes:
            raise ScoreError(f"logits have shape {tuple(logits.shape)}; allowed: (batch, {self.num_classes})")
        logits = logits.detach().to(self.device, torch.float64)
        while len(logits):
            part, logits = self._split_off(logits)
            probabilities = part.softmax(dim=1)
            self._probability_sums[-1] += probabilities.sum(dim=0)
            self._negentropy_sums[-1] += self._negentropy(probabilities).sum()
            self._counts[-1] += len(part)

    def _split_off(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """The rows that belong to the current split and the rest; opens a split where one is needed."""
        if not self._counts or self._counts[-1] == self.split_size:
            self._probability_sums.append(torch.zeros(self.num_classes, dtype=torch.float64, device=self.device))
            self._negentropy_sums.append(torch.zeros((), dtype=torch.float64, device=self.device))
            self._counts.append(0)
        room = len(logits) if self.split_size is None else self.split_size - self._counts[-1]
        return logits[:room], logits[room:]

    def _negentropy(self, probabilities: Tensor) -> Tensor:
        """Sum over classes of p log(p + epsilon), 0 where p is 0."""
        return torch.special.xlogy(probabilities, probabilities + self.epsilon).sum(dim=-1)

    def compute(self) -> float:
        """The score, between 1 and C; the mean over splits.

        Raises:
            ScoreError: no logits were added, or some were not finite.
        """
        if not self._counts:
            raise ScoreError("no logits were added; pass at least one batch to update() first")
        counts, marginals = self._marginals()
        divergences = torch.stack(self._negentropy_sums) / counts - self._negentropy(marginals)
        score = float(divergences.exp().mean())
        if not math.isfinite(score):
            raise ScoreError("some logits are NaN or infinite; look for such pixels in the images")
        return score

    def influences(self, logits: Iterable[Tensor]) -> Tensor:
        """How the score changes with the weight of each single image.

        Args:
            logits: (B, C) of all images, once more and in the same order.

        Returns:
            (N,) float64; their mean is 0.
        """
        counts, marginals = self._marginals()
        scores = (torch.stack(self._negentropy_sums) / counts - self._negentropy(marginals)).exp()
        logs = log((marginals + self.epsilon).clamp_min(torch.finfo(torch.float64).tiny))
        # One image among `counts` of its split, one split among several, against one image among all.
        shares = counts.sum() / counts / len(counts)
        parts, start = [], 0
        for part in logits:
            places = torch.arange(start, start + len(part), device=self.device)
            split = places // self.split_size if self.split_size else torch.zeros_like(places)
            probabilities = part.to(self.device, torch.float64).softmax(dim=1)
            divergence = self._negentropy(probabilities) - (probabilities * logs[split]).sum(dim=1)
            parts.append(scores[split] * (divergence - log(scores[split])) * shares[split])
            start += len(part)
        return torch.cat(parts)

    def _marginals(self) -> tuple[Tensor, Tensor]:
        """Images per split (splits,) and the mean probabilities (splits, C)."""
        counts = torch.tensor(self._counts, dtype=torch.float64, device=self.device)
        return counts, torch.stack(self._probability_sums) / counts[:, None]


def inception_score(logits: Tensor) -> float:
    """Score of all images as one split, as the official tokenizer evaluator computes it; logits (N, C)."""
    score = InceptionScore(logits.shape[-1], epsilon=OFFICIAL_EPSILON, device=logits.device)
    score.update(logits)
    return score.compute()


def adm_inception_score(logits: Tensor, split_size: int = ADM_SPLIT_SIZE) -> float:
    """Mean score of consecutive splits in file order, as ADM's evaluator computes it (ten splits of 50,000 images).

    Args:
        logits: (N, C) in the order of the sample file; ADM's are without bias.
        split_size: images per split; a shorter last split counts like the others, as it does there.
    """
    score = InceptionScore(logits.shape[-1], split_size=split_size, device=logits.device)
    score.update(logits)
    return score.compute()
