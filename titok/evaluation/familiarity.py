"""How many tokens images of another kind need: the familiarity gap.

A tokenizer is asked for the same quality on images that it was not trained for. What it needs more of there is said as
a difference of mean lengths, with an interval over the images of both sets. Letters: N images of the study, M others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from titok.config.adaptive_length import Alteration
from titok.evaluation.lengths import LengthScores
from titok.metrics.bootstrap import Interval, bootstrap_intervals

SECOND = "second_"
"""How keys of metrics of the other images begin."""
KEPT = ("rfid", "psnr", "lpips", "mean_length", "met")
"""What is said of the other images, beside the criterion's own measure."""

ALTERED: Mapping[Alteration, Callable[[Tensor], Tensor]] = {
    "quarter_turn": lambda images: images.rot90(1, (2, 3)),
    "negative": lambda images: 1 - images,
}
"""Images (B, 3, S, S) in [0, 1] to others of equally many."""


def altered(batches: Iterable[Tensor], how: Alteration) -> Iterator[Tensor]:
    """The same batches, every image altered."""
    return (ALTERED[how](batch) for batch in batches)


def second_metrics(second: LengthScores) -> dict[str, float]:
    """Metrics of the other images by their keys, at every length and for every threshold."""
    kept = {*KEPT, second.choosing.criteria[0].name}
    return {f"{SECOND}{key}": value for key, value in second.metrics.items() if key.partition("@")[0] in kept}


@dataclass(frozen=True)
class FamiliarityGaps:
    """Tokens that the other images need more than the study's, by tag of the criterion."""

    values: Mapping[str, float]
    contributions: Mapping[str, Tensor]
    """(N,) of altered images, which are drawn together with their originals; else (N + M,)."""
    strata: Tensor | None
    """(N + M,): of which set each is; None for altered images."""

    def intervals(self, *, resamples: int, coverage: float, generator: torch.Generator) -> dict[str, Interval]:
        """Where the gaps would lie with other images of both kinds."""
        return bootstrap_intervals(
            self.values,
            self.contributions,
            resamples=resamples,
            coverage=coverage,
            generator=generator,
            strata=self.strata,
        )


def familiarity_gaps(own: LengthScores, second: LengthScores, *, paired: bool) -> FamiliarityGaps:
    """The gaps between two sets that were scored alike.

    ``paired``: whether image n of both is the same, altered. Two sets of their own are drawn each by itself.
    """
    values, contributions = {}, {}
    for tag, places in own.chosen.items():
        lengths = np.array(own.choosing.lengths, dtype=float)
        ours, others = (torch.from_numpy(lengths[each]) for each in (places, second.chosen[tag]))
        key = f"familiarity_gap@{tag}"
        values[key] = float(others.mean() - ours.mean())
        count = len(ours) + len(others)
        # In the mean over both sets, each set's own mean.
        contributions[key] = (
            others - ours if paired else torch.cat([-ours * count / len(ours), others * count / len(others)])
        )
    sets = torch.cat([torch.zeros(own.num_images), torch.ones(second.num_images)]).long()
    return FamiliarityGaps(values, contributions, None if paired else sets)
