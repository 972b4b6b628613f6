"""``titok score lengths``: every length of a tokenizer, and what images need where each has its own."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from titok.commands.lpips_score import open_lpips
from titok.commands.score import LATENTS, open_extractor
from titok.commands.score_records import image_source, pixels_of, write_score
from titok.commands.score_second import score_second
from titok.commands.subjects import of_tokenizer
from titok.config.evaluation import Uncertainty
from titok.config.load import ConfigError, load_job
from titok.config.measuring_jobs import LengthsJob
from titok.data.images import Images
from titok.data.opening import open_images
from titok.errors import ScoreError
from titok.evaluation.length_criteria import criterion_of
from titok.evaluation.length_gains import Choice, Gain, OneLength, gain_of
from titok.evaluation.length_pictures import attention_arrays
from titok.evaluation.length_ranks import JpegSizes, length_ranks, read_complexity
from titok.evaluation.lengths import Choosing, LengthScores, length_protocol, lengths_of, score_lengths
from titok.evaluation.per_image import read_per_image, write_per_image
from titok.evaluation.reconstruction import PerceptualDistance
from titok.metrics.bootstrap import bootstrap_intervals
from titok.models.folder import load_classifier, load_image_tokenizer
from titok.models.image_tokenizer import ImageTokenizer, Reconstruction
from titok.models.length_choice import restored_at
from titok.records.record import Interval
from titok.runtime.device import select_device
from titok.runtime.files import save_npz
from titok.runtime.seed import generator

NUM_PICTURES = 8
"""Images of the fewest tokens, and as many of the most, that are kept for the figures."""


def lengths(options: argparse.Namespace) -> None:
    """Scores a tokenizer's lengths on the test images; of one that has one length, that one."""
    job = load_job(options.config, LengthsJob, options.execution)
    device = select_device(options.device)
    model = load_image_tokenizer(options.model, device)
    lpips = open_lpips(job.evaluation.lpips, device)
    images = open_images(options.data, job.dataset, workers=options.workers)
    # Before the pass: a wrong table must not cost it.
    others = _of_one_length(options.beside, job.lengths.criterion, images.keys)
    complexity = _complexity(job, images)
    choosing = _choosing(job, model, others, lpips, options.judge, device)
    extractor = open_extractor(job.evaluation.extractor, options.judge, device)

    def restore(batch: Tensor) -> Iterator[Reconstruction]:
        return restored_at(model, batch, choosing.lengths)

    score = functools.partial(
        score_lengths,
        restore,
        extractor=extractor,
        settings=job.evaluation,
        choosing=choosing,
        lpips=lpips,
        device=device,
    )
    sizes = JpegSizes(job.lengths.jpeg_quality)
    seen = sizes.passing(pixels_of(images, job.dataset, job.evaluation.batch_size))
    scores = score(seen, num_pictures=NUM_PICTURES if options.pictures else 0)
    second = score_second(job, images, scores, score, options.workers)
    if options.per_image is not None:
        write_per_image(options.per_image, scores, images.keys, images.labels)
    if options.pictures is not None:
        save_npz(options.pictures, **scores.pictures, **attention_arrays(model, scores.pictures["images"][0]))
    gains = _gains(scores, others)
    protocol = length_protocol(job.evaluation, extractor, choosing, lpips, scores.num_images)
    protocol |= {**LATENTS, "reference": image_source(images, job.dataset), "jpeg_quality": sizes.quality}
    protocol |= second.protocol
    inputs = {name: path for name in ("model", "data", "judge") if (path := getattr(options, name)) is not None}
    inputs |= {f"beside_{place}": path for place, path in enumerate(options.beside)}
    metrics = {
        **scores.metrics,
        **{name: gain.value for name, gain in gains.items()},
        **_ranks(scores, complexity, sizes),
        **second.metrics,
    }
    intervals = {**_intervals(job, gains), **second.intervals}
    options.subject |= of_tokenizer(model, job.dataset.image_size)
    write_score(options, job, "lengths", metrics, protocol, inputs, device, intervals)


def _choosing(
    job: LengthsJob,
    model: ImageTokenizer,
    others: OneLength | None,
    lpips: PerceptualDistance | None,
    judge: Path | None,
    device: torch.device,
) -> Choosing:
    facts, rule = model.facts, job.lengths
    if facts.codebook_size is None or facts.most_tokens is None:
        raise ScoreError(
            f"lengths are counted in tokens, and this {type(model).__name__} has no ids of a known number; score its "
            f"reconstructions"
        )
    if rule.criterion == "class" and judge is None:
        raise ConfigError("adaptive_length.criterion is 'class'; give the judge's model file with --judge")
    classifier = load_classifier(judge, device) if rule.criterion == "class" and judge else None
    criteria = [criterion_of(rule.criterion, each, lpips, classifier) for each in rule.scored]
    known = lengths_of(facts, rule.lengths)
    if len(known) > 1:
        for length, threshold in _matched(rule.matched, others):
            criterion = criterion_of(rule.criterion, threshold, lpips, classifier)
            criteria.append(dataclasses.replace(criterion, said=f"K={length}"))
    elif not criteria:  # one length, which is measured and not chosen
        criteria.append(criterion_of(rule.criterion, math.inf, lpips, classifier))
    return Choosing(known, tuple(criteria), rule, facts.codebook_size)


def _matched(lengths: Sequence[int], others: OneLength | None) -> Iterator[tuple[int, float]]:
    """Lengths of tokenizers beside, and the mean of the criterion by each, which is to be met."""
    there = list(others.lengths) if others is not None else []
    for length in lengths:
        if others is None or length not in there:
            raise ScoreError(
                f"adaptive_length.as_good_as names {length} tokens, but the tables given with --beside are of "
                f"{', '.join(map(str, there)) or 'none'}; give that of a tokenizer of {length}"
            )
        yield length, float(others.measured[:, there.index(length)].mean())


def _gains(scores: LengthScores, others: OneLength | None) -> dict[str, Gain]:
    """The choice beside one length of the same tokenizer, and beside tokenizers that were trained for one length."""
    choosing, found = scores.choosing, dict[str, Gain | None]()
    own = OneLength(choosing.lengths, scores.measured)
    for criterion, (tag, places) in zip(choosing.criteria, scores.chosen.items(), strict=True):
        if len(choosing.lengths) == 1:
            continue
        better, rows = criterion.higher_is_better, np.arange(len(places))
        measured, given = scores.measured[rows, places], np.array(choosing.lengths)[places]
        choice = Choice(given, measured)
        found[f"gain@{tag}"] = gain_of(choice, own, higher_is_better=better)
        met = criterion.is_met(torch.from_numpy(scores.measured)).numpy().astype(float)
        found[f"met_gain@{tag}"] = gain_of(
            Choice(given, met[rows, places]), OneLength(choosing.lengths, met), higher_is_better=True
        )
        if others is not None:
            found[f"gain_over_fixed@{tag}"] = gain_of(choice, others, higher_is_better=better)
    return {name: gain for name, gain in found.items() if gain is not None}


def _of_one_length(files: Sequence[Path], measure: str, keys: np.ndarray) -> OneLength | None:
    """What tokenizers of one length make of the same images, from their tables image by image."""
    columns: dict[int, np.ndarray] = {}
    for path in files:
        table = read_per_image(path)
        if table.keys != list(map(str, keys)):
            raise ScoreError(f"{path} is of other images than are scored here; score both on the same")
        named = {name: column for name, column in table.columns.items() if name.startswith(f"{measure}@")}
        if len(named) != 1:
            raise ScoreError(
                f"{path} has {len(named)} columns {measure}@..., of a tokenizer of one length there is one; name files "
                f"of `titok score lengths --per-image` by the same criterion"
            )
        ((name, column),) = named.items()
        length = int(name.partition("@")[2])
        if length in columns:
            raise ScoreError(f"{path} is of a second tokenizer of {length} tokens; name one of each length")
        columns[length] = column
    ordered = sorted(columns)
    return OneLength(ordered, np.stack([columns[length] for length in ordered], axis=1)) if ordered else None


def _complexity(job: LengthsJob, images: Images) -> np.ndarray | None:
    """(N,) people's scores of the images, where the study names any."""
    named = job.lengths.complexity
    return None if named is None else read_complexity(Path(named.path), list(map(str, images.keys)), named.sha256)


def _ranks(scores: LengthScores, complexity: np.ndarray | None, sizes: JpegSizes) -> dict[str, float]:
    """Of the lengths given, with the JPEG files' sizes and people's scores."""
    if len(scores.choosing.lengths) == 1:
        return {}
    others = {"jpeg_size": np.array(sizes.sizes, dtype=float)}
    if complexity is not None:
        others["complexity"] = complexity
    return length_ranks(dict(scores.chosen), others)


def _intervals(job: LengthsJob, gains: Mapping[str, Gain]) -> dict[str, Interval]:
    if not gains:
        return {}
    drawn = job.evaluation.uncertainty or Uncertainty()
    return bootstrap_intervals(
        {name: gain.value for name, gain in gains.items()},
        {name: gain.contributions for name, gain in gains.items()},
        resamples=drawn.resamples,
        coverage=drawn.coverage,
        generator=generator(drawn.seed, "bootstrap"),
    )
