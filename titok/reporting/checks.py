"""Working checks: what shows that a study's models work at all, and that its numbers measure something.

Their margins are so wide that neither another processor nor another seed reaches them; what the paper claims beyond is
a trend (``titok.reporting.trends``), which is shown and never fails a run.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

import pandas as pd

from titok.errors import TitokError, some_of
from titok.reporting.collect import FOLDERS, Scores
from titok.reporting.copies import copies_said
from titok.reporting.judgement import reaches

if TYPE_CHECKING:
    from titok.config.reporting import Reporting
    from titok.config.working_checks import Checks

SHOWN_FAULTS = 5
"""A check that lists faults names this many and counts the rest."""
UNTRAINED = ("codec", "external", "patches", "regions", "quantized")
"""Recipes of rows that no training of the study is behind."""
BEYOND_CHANCE = 5.0
"""Standard deviations of guessing by which a share read correctly must at least lie above chance, so that few images
cannot pass by luck."""


@dataclass(frozen=True)
class Check:
    """One property.

    Attributes:
        name: what is looked at.
        value: what was measured; None where the property is no single number or it is not finite.
        threshold: what it is held against, in words: `>= 0.33`.
        explanation: what the property means, and what was found.
        files: the score records it was judged from.
    """

    name: str
    passed: bool
    value: float | None
    threshold: str
    explanation: str
    files: Sequence[str]


class ChecksFailed(TitokError):
    """At least one property does not hold; the message names each, with its value."""


def run_checks(scores: Scores, reporting: Reporting, planned: Sequence[str] | None = None) -> list[Check]:
    """Every property of a study's scores.

    All studies: scores are complete and finite. Unless `checks.enabled` is false also: codebooks are alive,
    reconstructions beat the mean image, and where a classifier of the study measures, it can read the real test images,
    every tokenizer's reconstructions and the samples of every row that a table or figure shows.

    Args:
        planned: score files that the study plans, below any folder; null: nobody knows.
    """
    found = [_complete(scores, planned), _finite(scores)]
    if reporting.checks.enabled:
        records = _reconstructions(scores)
        found += _codebooks_in_use(records, scores, reporting.checks)
        found += _better_than_the_mean_image(records, reporting.checks)
        judged = _judged_by_classifier(scores)
        found += _judge_reads(records, judged, reporting.checks)
        found += _reconstructions_read(records, judged, scores, reporting.checks)
        found += _samples_read(records, judged, scores, reporting)
    return found


def require_passed(checks: Iterable[Check]) -> None:
    """Raises:
    ChecksFailed: names every property that does not hold, what was measured, and the threshold.
    """
    failed = [check for check in checks if not check.passed]
    if failed:
        lines = "\n".join(
            f"  - {check.name}: {shown_value(check)} (needs {check.threshold}); {check.explanation}" for check in failed
        )
        raise ChecksFailed(f"{len(failed)} working check(s) failed:\n{lines}")


def shown_value(check: Check) -> str:
    """The number, with as many digits as it takes to tell it from what is asked for."""
    if check.value is None:
        return "-"
    wanted = check.threshold.rpartition(" ")[2]
    texts = [f"{check.value:.{digits}g}" for digits in (4, 6, 9, 12)]
    return texts[0] if check.passed else next((text for text in texts if text != wanted), texts[-1])


def _at_least(name: str, found: float | None, needed: float, said: str, files: Iterable[str]) -> Check:
    """A number that must reach another one; a miss in the last digits is none."""
    found = found if found is not None and math.isfinite(found) else None
    passed = found is not None and reaches(found, needed)
    threshold = f">= {needed:.4g}" if math.isfinite(needed) else ">= chance, which no record states"
    return Check(name, passed, found, threshold, said, list(files))


def _complete(scores: Scores, planned: Sequence[str] | None) -> Check:
    """Whether every planned record is among those given; none at all shows nothing."""
    given = {_place(file) for file in scores.frame["file"]} if len(scores.frame) else set()
    given |= {_place(copy.file) for copy in scores.copies}
    missing = [place for place in dict.fromkeys(map(_place, planned or ())) if place not in given]
    if not given and not missing:
        missing = ["any score at all"]
    known = "The study plans" if planned is not None else "What the study plans is not known; there are"
    found = some_of(missing, SHOWN_FAULTS, "; ") or f"{known} {len(given)}"
    said = f"Every score that the study plans must be there. {found}."
    said = f"{said} {copies_said(scores.copies)}".rstrip()
    return Check("scores_complete", not missing, float(len(missing)), "= 0 missing", said, [])


def _place(file: str) -> str:
    """Where a record lies below `scores/`, wherever the study's folder was moved to."""
    parts = PurePath(file).parts
    kinds = FOLDERS.values()
    starts = [
        place for place, pair in enumerate(itertools.pairwise(parts), 1) if pair[0] == "scores" and pair[1] in kinds
    ]
    return "/".join(parts[starts[0] :] if starts else parts[-1:])


def _finite(scores: Scores) -> Check:
    faults = [f"{fault.metric} is {fault.value} in {fault.file}" for fault in scores.non_finite]
    found = some_of(faults, SHOWN_FAULTS, "; ") or f"Those of {len(scores.frame)} records are"
    said = f"Every metric of every score must be a finite number. {found}."
    files = sorted({fault.file for fault in scores.non_finite})
    return Check("scores_finite", not faults, float(len(faults)), "= 0 faults", said, files)


def _reconstructions(scores: Scores) -> pd.DataFrame:
    """Those by tokenizers of the study; codecs, floors and others' programs are shown as they are, which may be bad."""
    frame = scores.frame[scores.frame["kind"] == "reconstruction"] if len(scores.frame) else scores.frame
    return frame[~frame["recipe"].isin(UNTRAINED)] if "recipe" in frame else frame


def _codebooks_in_use(records: pd.DataFrame, scores: Scores, checks: Checks) -> Iterator[Check]:
    """One check for all tokenizers: the smallest share used of the codes that their tokens of the images could use."""
    if "codebook_usage" not in records or records["codebook_usage"].isna().all():
        return
    used = records.dropna(subset="codebook_usage")
    shares = used["codebook_usage"] / used.apply(lambda record: _reachable(record, scores), axis="columns")
    worst = used.iloc[int(shares.to_numpy().argmin())]
    said = (
        f"Every tokenizer must use a share of its codebook on the test images (of the codes that so many tokens could "
        f"use); a collapsed one uses a few codes. The least used is that of {_name(worst)}."
    )
    yield _at_least("codebook_in_use", float(shares.min()), checks.min_codebook_usage, said, [worst["file"]])


def _reachable(record: pd.Series, scores: Scores) -> float:
    """The share of a codebook that the tokens of all images could use, were each another one."""
    images = scores.protocols[record["protocol_id"]].get("num_images", math.inf)
    tokens, size = record.get("num_latent_tokens", math.nan), record.get("codebook_size", math.nan)
    reachable = images * tokens / size
    return min(1.0, float(reachable)) if reachable > 0 else 1.0


def _better_than_the_mean_image(records: pd.DataFrame, checks: Checks) -> Iterator[Check]:
    # Stage 1 learns codes, not pixels: with a token or two it may draw a sharp picture of something else, farther away
    # than the mean image. A classifier that reads its reconstructions sees whether it works; without one, pixels must.
    if "classifier_accuracy" in records:
        records = records[(records["stage"] != "stage1") | records["classifier_accuracy"].isna()]
    if records.empty:
        return
    said = (
        "Reconstructions by models that were trained on pixels must be nearer to their images than the images' own "
        "mean is: the share of the pixels' variance that comes back, 0 for the mean image, 1 for a perfect copy. The "
        "worst: {}."
    )
    yield _worst("better_than_the_mean_image", records, "explained_variance", checks.min_explained_variance, said)


def _judged_by_classifier(scores: Scores) -> bool:
    """Whether a classifier of the study makes the distances, and reads classes."""
    frame = scores.frame
    measured = frame[frame["kind"].isin(["reconstruction", "generation"])] if len(frame) else frame
    used = set(measured["protocol_id"]) if len(measured) else set()
    return any(scores.protocols[identifier].get("extractor.kind") == "classifier" for identifier in used)


def _judge_reads(records: pd.DataFrame, judged: bool, checks: Checks) -> Iterator[Check]:
    """Distances and classes by a network that reads nothing are noise."""
    if judged:
        accuracy, chance = (_lowest(records, metric) for metric in ("judge_accuracy", "chance_accuracy"))
        needed = chance + checks.min_skill * (1 - chance)
        said = (
            f"The classifier that measures must read the real test images far better than by chance "
            f"({_percent(chance)}: always naming the most frequent class); without, distances are noise."
        )
        if math.isnan(accuracy):
            said = f"{said} No record says how well it does: score the reconstructions again."
            needed = checks.min_skill
        yield _at_least(
            "judge_reads_real_images", accuracy, needed, said, records["file"].head(1) if len(records) else []
        )


def _reconstructions_read(records: pd.DataFrame, judged: bool, scores: Scores, checks: Checks) -> Iterator[Check]:
    if judged and len(records):
        chance = _lowest(records, "chance_accuracy")
        needed = _needed(records, chance, _images(records, scores), checks)
        said = (
            f"The classifier must read every tokenizer's reconstructions as their label far better than by chance "
            f"({_percent(chance)}). The worst: {{}}."
        )
        yield _worst("reconstructions_read", records, "classifier_accuracy", needed, said)


def _samples_read(records: pd.DataFrame, judged: bool, scores: Scores, reporting: Reporting) -> Iterator[Check]:
    """Of every generator and sampler that a table or figure shows: nobody picks one by its score."""
    shown = {(generator, sampler) for generator, sampler, _ in reporting.runs()}
    frame = scores.frame
    if not judged or not {"generator", "sampler"} <= set(frame):
        return
    of_samples = frame[frame["kind"] == "generation"]
    pairs = zip(of_samples["generator"], of_samples["sampler"], strict=True)
    samples = of_samples[[pair in shown for pair in pairs]]
    if samples.empty:
        return
    classes = scores.protocols[samples["protocol_id"].iloc[0]].get("num_classes")
    chance = 1 / classes if classes else _lowest(records, "chance_accuracy")
    needed = _needed(records, chance, _images(samples, scores), reporting.checks)
    said = (
        f"The classifier must read the samples of every row shown as the class asked for, far better than by chance "
        f"({_percent(chance)}). The worst of {len(samples)}: {{}}."
    )
    yield _worst("samples_read", samples, "class_agreement", needed, said)


def _needed(records: pd.DataFrame, chance: float, images: int, checks: Checks) -> float:
    """A share of the way from chance to what the judge reads of real images, and more than luck with so few."""
    best = _lowest(records, "judge_accuracy")
    way = checks.min_skill * max((best if math.isfinite(best) else 1.0) - chance, 0.0)
    luck = BEYOND_CHANCE * math.sqrt(chance * (1 - chance) / images) if images else 0.0
    return min(chance + max(way, luck), 1.0)


def _images(records: pd.DataFrame, scores: Scores) -> int:
    """How many images the records are of; 0 where they do not say."""
    return int(scores.protocols[records["protocol_id"].iloc[0]].get("num_images", 0))


def _worst(name: str, records: pd.DataFrame, metric: str, needed: float, said: str) -> Check:
    """The lowest of all records; one that lacks the number fails, as nobody knows."""
    lacking = records[records[metric].isna()] if metric in records else records
    if len(lacking):
        without = f"{said.format(_name(lacking.iloc[0]))} It has no {metric}: score it again."
        return _at_least(name, None, needed, without, lacking["file"].head(SHOWN_FAULTS))
    worst = records.iloc[int(records[metric].to_numpy().argmin())]
    return _at_least(name, float(worst[metric]), needed, said.format(_name(worst)), [worst["file"]])


def _percent(share: float) -> str:
    return f"{share:.1%}" if math.isfinite(share) else "nobody knows how well that is"


def _lowest(records: pd.DataFrame, metric: str) -> float:
    """NaN where no record has it."""
    return float(records[metric].min()) if metric in records else math.nan


def _name(record: pd.Series) -> str:
    """What people call a record's subject."""
    parts = [record.get(key) for key in ("generator", "sampler", "tokenizer", "stage")]
    if isinstance(parts[0], str):
        return f"{parts[0]} with {parts[1]}, seed {record['seed']}"
    return f"{parts[2]} ({parts[3]}), seed {record['seed']}"
