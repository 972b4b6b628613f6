"""Scores of lengths as tables and figures read them: what is known where all images have K tokens, and where each has
the length it needs.

Keys of metrics end in ``@8`` or in ``@l1<0.05`` (``titok.evaluation.lengths``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from titok.reporting.collect import BootstrapInterval, MissingScore, Scores
from titok.reporting.estimates import MIN_SEEDS, Estimate, Seeds, combine
from titok.reporting.judgement import Judgement, Statement, judge

if TYPE_CHECKING:
    from titok.config.rows import LengthTable, Row

MEASURES = ("l1", "class", "lpips", "psnr")
"""What a criterion may look at; the first that a record has is that of its study."""

PROBE = "linear_probe_top1"
SHARED_ENCODER = "encoder"
"""The stage in a probe's record where all stages of a tokenizer share what was probed."""


@dataclass(frozen=True)
class Place:
    """One way to give images lengths."""

    tag: str
    """`8` or `l1<0.05`."""

    @property
    def length(self) -> int | None:
        """K, where all images have the same."""
        return int(self.tag) if self.tag.isdigit() else None


@dataclass(frozen=True)
class RowLengths:
    """The scores of one row of a table."""

    row: Row
    records: pd.DataFrame

    def places(self, *, chosen: bool) -> list[Place]:
        """Where all images have the same length, from few to many; or where each has its own, as recorded."""
        tags = list(dict.fromkeys(name.partition("@")[2] for name in self._metrics() if name.startswith("rfid@")))
        if chosen:
            return [Place(tag) for tag in tags if not tag.isdigit()]
        return [Place(tag) for tag in sorted((tag for tag in tags if tag.isdigit()), key=int)]

    @property
    def measure(self) -> str:
        """What the study's criterion looks at."""
        names = {name.partition("@")[0] for name in self._metrics()}
        rules = {name.partition("@")[2] for name in self._metrics() if name.startswith("mean_length@")}
        named = [one for one in MEASURES if any(rule.startswith(one) for rule in rules)]
        return (named or [one for one in MEASURES if one in names])[0]

    def _metrics(self) -> list[str]:
        return [name for name in self.records.columns if "@" in name and bool(self.records[name].notna().any())]


def lengths_of_rows(wanted: LengthTable, scores: Scores) -> list[RowLengths]:
    """The rows' scores, all measured in one way, with probes where the table shows them.

    Raises:
        MissingScore: a row names no tokenizer, or has no scores of lengths.
        NotComparableError: they were measured in two ways.
    """
    found, measured, probed = list[RowLengths](), list[pd.DataFrame](), list[pd.DataFrame]()
    for row in wanted.rows:
        if row.tokenizer is None:
            raise MissingScore(f"row {row.label!r} names no tokenizer, so it has no lengths; give one")
        records = scores.select("lengths", tokenizer=row.tokenizer, stage=row.stage)
        measured.append(records)
        probes = _probes(row, scores) if wanted.linear_probe else None
        found.append(RowLengths(row, records if probes is None else _joined(records, probes)))
        probed += [] if probes is None else [probes]
    for kind in (measured, probed):
        if kind:
            scores.require_one_protocol(pd.concat(kind), "adaptive_length")
    return found


def _probes(row: Row, scores: Scores) -> pd.DataFrame | None:
    """Probes of the row's encoder, a record per seed; none where another stage's was probed, or none."""
    frame = scores.frame
    if "linear_probe" not in set(frame["kind"]):
        return None
    found = frame[(frame["kind"] == "linear_probe") & (frame["tokenizer"] == row.tokenizer)]
    found = found[found["stage"].isin([SHARED_ENCODER, row.stage])]
    return found if len(found) else None


def _joined(records: pd.DataFrame, probes: pd.DataFrame) -> pd.DataFrame:
    """Scores of lengths with the same seeds' probes at each length; of a tokenizer of one length, the one there is."""
    known = [name for name in probes.columns if name.startswith(f"{PROBE}@") and bool(probes[name].notna().any())]
    if not known:
        length = int(probes["num_latent_tokens"].iloc[0])
        known, probes = [f"{PROBE}@{length}"], probes.assign(**{f"{PROBE}@{length}": probes[PROBE]})
    return records.drop(columns=known, errors="ignore").merge(probes[["seed", *known]], "left", "seed")


def judged_gain(scores: Scores, records: pd.DataFrame, metric: str) -> Judgement | None:
    """Whether a gain is above 0: over seeds where there are enough, else over the images of one; None without any."""
    known = _known(scores, records, metric)
    return None if known is None else judge(Statement(combine([known], [1.0]), low=0.0, high=math.inf))


def judged_change(scores: Scores, records: pd.DataFrame, metric: str, before: Place, after: Place) -> Judgement | None:
    """Whether a metric is higher where all images have one length than where all have another, paired by seed."""
    groups = [
        {seed: value for seed, value in scores.by_seed(records, f"{metric}@{at.tag}").items() if math.isfinite(value)}
        for at in (after, before)
    ]
    return judge(Statement(combine(groups, [1.0, -1.0]), low=0.0, high=math.inf)) if all(groups) else None


def _known(scores: Scores, records: pd.DataFrame, metric: str) -> Seeds | Estimate | None:
    seeds = {seed: value for seed, value in scores.by_seed(records, metric).items() if math.isfinite(value)}
    if not seeds:
        return None
    interval = _interval(scores, records, metric)
    if len(seeds) >= MIN_SEEDS or interval is None:
        return seeds
    return Estimate.measured(next(iter(seeds.values())), interval.low, interval.high, interval.coverage, "images")


def _interval(scores: Scores, records: pd.DataFrame, metric: str) -> BootstrapInterval | None:
    return scores.intervals.get((str(records["file"].iloc[0]), metric))


def said(found: Judgement, words: tuple[str, str]) -> str:
    """A judgement about a difference in a word: the first above 0, the second below."""
    return dict(zip(("agrees", "differs"), words, strict=True)).get(found.word, found.word)
