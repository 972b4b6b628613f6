"""How many tokens images of another kind need: the familiarity gap.

A tokenizer is asked for the same quality on images that it was not trained for. What it needs more of there is said as
a difference of mean lengths, with an interval over the images of both sets. An image that no length satisfies needs the
longest at least, whatever a study gives it: the nearest length may be the shortest, and would pass for an easy image.
Letters: N images of the study, M others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from titok.config.adaptive_length import Alteration
from titok.evaluation.lengths import LengthScores, tag_of
from titok.metrics.bootstrap import Interval, bootstrap_intervals
from titok.models.length_choice import Criterion, shortest_sufficient

SECOND = "second_"
"""How keys of metrics of the other images begin (`titok.records.metric`)."""
KEPT = ("rfid", "psnr", "lpips", "mean_length", "met")
"""What is said of the other images, beside the criterion's own measure."""

ALTERED: Mapping[Alteration, Callable[[Tensor], Tensor]] = {
    "mirrored": lambda images: images.flip(-1),
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
    """What the study's images and the others need, and how many tokens more these do, by tag of the criterion."""

    values: Mapping[str, float]
    """``needed_length@TAG``, ``second_needed_length@TAG`` and their difference, ``familiarity_gap@TAG``."""
    contributions: Mapping[str, Tensor]
    """Of the differences: (N,) of altered images, which are drawn together with their originals; else (N + M,)."""
    strata: Tensor | None
    """(N + M,): of which set each is; None for altered images."""

    def intervals(self, *, resamples: int, coverage: float, generator: torch.Generator) -> dict[str, Interval]:
        """Where the gaps would lie with other images of both kinds."""
        return bootstrap_intervals(
            {name: self.values[name] for name in self.contributions},
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
    values, contributions = dict[str, float](), dict[str, Tensor]()
    for criterion in own.choosing.criteria:
        tag = tag_of(criterion)
        ours, others = (_needed(each, criterion) for each in (own, second))
        values |= {f"needed_length@{tag}": float(ours.mean()), f"{SECOND}needed_length@{tag}": float(others.mean())}
        values[f"familiarity_gap@{tag}"] = float(others.mean() - ours.mean())
        contributions[f"familiarity_gap@{tag}"] = others - ours if paired else _of_two_sets(ours, others)
    sets = torch.cat([torch.zeros(own.num_images), torch.ones(second.num_images)]).long()
    return FamiliarityGaps(values, contributions, None if paired else sets)


def _needed(scores: LengthScores, criterion: Criterion) -> Tensor:
    """(N,) float64: the shortest length that is good enough; the longest where none is."""
    places, _ = shortest_sufficient(torch.from_numpy(scores.measured), criterion, "longest")
    return torch.tensor(scores.choosing.lengths, dtype=torch.float64)[places]


def _of_two_sets(ours: Tensor, others: Tensor) -> Tensor:
    """(N + M,): so that their mean is the difference of the sets' means."""
    count = len(ours) + len(others)
    return torch.cat([-ours * count / len(ours), others * count / len(others)])
