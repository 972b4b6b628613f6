"""The part of ``titok score lengths`` that looks at images of another kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from titok.commands.score_records import image_source, pixels_of
from titok.config.adaptive_length import SecondImages
from titok.config.evaluation import Uncertainty
from titok.config.measuring_jobs import LengthsJob
from titok.data.images import Images
from titok.data.opening import open_images
from titok.evaluation.familiarity import altered, familiarity_gaps, second_metrics
from titok.evaluation.length_ranks import require_sum
from titok.evaluation.lengths import LengthScores
from titok.metrics.bootstrap import Interval
from titok.runtime.seed import generator


@dataclass(frozen=True)
class SecondScores:
    """What a record says of images of another kind; nothing where a study names none."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)


def score_second(
    job: LengthsJob,
    images: Images,
    own: LengthScores,
    score: Callable[[Iterator[Tensor]], LengthScores],
    workers: int,
) -> SecondScores:
    """Scores the other images with ``score`` as the test ``images`` were, and how many tokens more they need."""
    second = job.lengths.second
    if second is None:
        return SecondScores()
    batches, about = _batches(job, second, images, workers)
    found = score(batches)
    metrics, protocol = second_metrics(found), {"second": {"label": second.label, **about}}
    if len(own.choosing.lengths) == 1:
        return SecondScores(metrics, {}, protocol)
    gaps = familiarity_gaps(own, found, paired=second.altered is not None)
    drawn = job.evaluation.uncertainty or Uncertainty()
    draws = generator(drawn.seed, "familiarity")
    intervals = gaps.intervals(resamples=drawn.resamples, coverage=drawn.coverage, generator=draws)
    return SecondScores({**metrics, **gaps.values}, intervals, protocol)


def _batches(
    job: LengthsJob, second: SecondImages, images: Images, workers: int
) -> tuple[Iterator[Tensor], dict[str, Any]]:
    """Images (B, 3, S, S) in [0, 1], and which they are."""
    size = job.evaluation.batch_size
    if second.altered is not None:
        return altered(pixels_of(images, job.dataset, size), second.altered), {"altered": second.altered}
    index = Path(str(second.path))
    require_sum(index, second.sha256, "adaptive_length.second.sha256")
    # Nothing says that they are square or few.
    dataset = job.dataset.model_copy(update={"in_memory": False})
    others = open_images(index, dataset, workers=workers)
    about = image_source(others, dataset)
    del about["dataset"]  # the study's kind; the sum says which images they are
    return pixels_of(others, dataset, size), about
