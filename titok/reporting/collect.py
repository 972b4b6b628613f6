"""Score records and manifests -> one tidy frame, and statistics over seeds that never mix two protocols."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from titok.errors import ScoreError, TitokError
from titok.records.metric import Metric, described
from titok.records.record import Kind, read_record
from titok.reporting.copies import Copies, Copy
from titok.reporting.estimates import BootstrapInterval, Sittings
from titok.reporting.once import Once
from titok.reporting.speeds import are_apart, give_speeds, own_protocol, protocol_column, sittings_of

FOLDERS: dict[Kind, str] = {
    "reconstruction": "reconstruction",
    "lengths": "lengths",
    "linear_probe": "probe",
    "generation": "generation",
    "throughput": "throughput",
    "costs": "costs",
}
"""Kind of a record -> its folder below ``scores/``."""

_NAMES: dict[Kind, tuple[str, ...]] = {
    "reconstruction": ("tokenizer", "stage"),
    "lengths": ("tokenizer", "stage"),
    "linear_probe": ("tokenizer",),
    "generation": ("generator", "sampler"),
    "throughput": ("generator", "sampler", "sitting"),
    "costs": ("tokenizer", "stage"),
}
"""Kind of a record -> what tables find it by, beside its seed."""


class MissingScore(TitokError):
    """A row, figure or check needs a score that is not among the files given."""


class PlannedScoreMissing(MissingScore):
    """The study plans the score, but it is not among the files given; any other missing one was never asked for."""


class NotComparableError(ScoreError):
    """A number of ours was measured otherwise than what it is held against; names each key, with both values.

    Attributes:
        differing: the keys alone; the message may say more.
    """

    def __init__(self, message: str, differing: str | None = None) -> None:
        super().__init__(message)
        self.differing = differing or message


@dataclass(frozen=True)
class Statistic:
    """A metric over seeds: `std` is the sample standard deviation, NaN for one seed."""

    n: int
    mean: float
    std: float
    minimum: float
    maximum: float
    interval: BootstrapInterval | None = None
    """Over images, of a single record; several seeds speak for themselves."""

    @property
    def span(self) -> tuple[float, float]:
        """What figures shade: the seeds' span or, of a single seed, its bootstrap interval."""
        return (self.interval.low, self.interval.high) if self.interval else (self.minimum, self.maximum)


@dataclass(frozen=True)
class NonFinite:
    """A metric that is no number."""

    file: str
    metric: str
    value: float | None


@dataclass(frozen=True)
class Scores:
    """Every score of a study.

    Attributes:
        frame: one row per record: its `file`, `kind`, subject (tokenizer, stage, seed, ...), one column per metric
            (absent ones NaN; percentages as fractions), `protocol_id`, and those of speeds (`own_protocol`).
        intervals: (file, metric) -> the number's bootstrap interval, where its record has one.
        labels: metric -> its name as the records give it.
        protocols: protocol_id -> the protocol, flattened to dotted keys.
        provenance: file -> how it was made.
        non_finite: metrics that are NaN or infinite in their record.
        copies: records of other seeds' bits; they are in no frame.
    """

    frame: pd.DataFrame
    intervals: Mapping[tuple[str, str], BootstrapInterval]
    labels: Mapping[str, Metric]
    protocols: Mapping[str, Mapping[str, Any]]
    provenance: Mapping[str, Mapping[str, Any]]
    non_finite: Sequence[NonFinite]
    copies: Sequence[Copy] = ()

    def select(self, kind: Kind, **subject: object) -> pd.DataFrame:
        """The records of one kind and subject, one per seed.

        Raises:
            PlannedScoreMissing: there are none; names the files that would hold them.
        """
        frame = self.frame[self.frame["kind"] == kind] if len(self.frame) else self.frame
        for key, value in subject.items():
            frame = frame[frame[key] == value] if key in frame else frame.iloc[:0]
        if frame.empty:
            where = score_path(kind, **subject)
            raise PlannedScoreMissing(
                f"{where}: no such score among the {len(self.frame)} files given; make it with "
                f"`snakemake results/<study>/{where.replace('*', '0')}` or take the row that names it out of the study"
            )
        return frame

    def statistic(self, records: pd.DataFrame, metric: str) -> Statistic | None:
        """A metric over some of the records; None where none of them has it."""
        if metric not in records:
            return None
        if are_apart(records, metric):  # seeds share it
            records = records.iloc[:1]
        found = statistic(records[metric])
        if found is None or found.n > 1:
            return found
        return replace(found, interval=self.intervals.get((str(records["file"].iloc[0]), metric)))

    def sittings(self, generator: str, sampler: str) -> Sittings:
        """The speed of each sitting in which it was measured apart from samples."""
        return sittings_of(self.select("throughput", generator=generator, sampler=sampler).to_dict("records"))

    def has(self, records: pd.DataFrame, metric: str) -> bool:
        """Whether one of the records states the metric, be it no number."""
        if metric not in records:
            return False
        faults = {fault.file for fault in self.non_finite if fault.metric == metric}
        return bool(records[metric].notna().any() or records["file"].isin(faults).any())

    def by_seed(self, records: pd.DataFrame, metric: str) -> dict[int, float]:
        """What each seed gave; NaN where its record has no such number, nothing where none has."""
        if not self.has(records, metric):
            return {}
        return {int(seed): float(value) for seed, value in zip(records["seed"], records[metric], strict=True)}

    def label(self, metric: str) -> Metric | None:
        """What the records call a metric; None where none has it."""
        return self.labels.get(metric)

    def name(self, metric: str) -> str:
        """The same in words, those of the table of metrics where no record has it."""
        return (self.labels.get(metric) or described(metric)).label

    def require_one_protocol(self, records: pd.DataFrame, column: str, metric: str | None = None) -> None:
        """Refuses records measured in two ways; speeds have protocols of their own. ``metric``: if not the ``column``.

        Raises:
            NotComparableError: names a file of each protocol, and every key in which they differ.
        """
        identifier = protocol_column(records, metric or column)
        first_of = records.drop_duplicates(identifier)
        if len(first_of) < 2:
            return
        one, other = first_of.iloc[0], first_of.iloc[1]
        a, b = (self.protocols.get(record[identifier], {}) for record in (one, other))
        different = [key for key in sorted({*a, *b}) if a.get(key) != b.get(key)]
        listed = "; ".join(f"{key}: {a.get(key)!r} and {b.get(key)!r}" for key in different)
        raise NotComparableError(
            f"column {column!r} would mix two protocols: {one['file']} ({one[identifier]}) and {other['file']} "
            f"({other[identifier]}) differ in {listed}; score both the same way, or show them in two tables",
            differing=f"the numbers differ in {listed}",
        )


def score_path(kind: Kind, **subject: object) -> str:
    """Where the scores of a subject lie below ``results/{study}/``, `*` for the seed."""
    names = [subject.get("tokenizer"), subject.get("stage"), subject.get("generator"), subject.get("sampler")]
    parts = [str(name) for name in names if name is not None]
    if parts == ["vqgan"]:
        return f"scores/{FOLDERS[kind]}/vqgan.json"
    return f"scores/{FOLDERS[kind]}/{'/'.join(parts)}/seed*.json"


def statistic(values: pd.Series) -> Statistic | None:
    """Mean and spread over seeds; None where no record has the metric. A NaN of one seed makes the mean NaN."""
    if values.isna().all():
        return None
    array = values.to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore"):  # an infinite score has no spread; the checks name it
        spread = float(array.std(ddof=1)) if len(array) > 1 else math.nan
    return Statistic(len(array), float(array.mean()), spread, float(array.min()), float(array.max()))


def read_scores(paths: Iterable[str | Path]) -> Scores:
    """Reads score records.

    Raises:
        ScoreError: a record lacks a part, or calls a metric otherwise than the records before it.
        ScoreError: sampling speeds were measured in two ways.
        ScoreError: two records are of the same thing.
    """
    rows, non_finite = list[dict[str, Any]](), list[NonFinite]()
    intervals: dict[tuple[str, str], BootstrapInterval] = {}
    labels: dict[str, Metric] = {}
    protocols, provenance = dict[str, dict[str, Any]](), dict[str, dict[str, Any]]()
    once, copies = Once(), Copies()
    for path in map(Path, paths):
        record = read_record(path)
        named = [(name, record["subject"].get(name)) for name in (*_NAMES[record["kind"]], "seed")]
        said = ", ".join(f"{name} {value}" for name, value in named if value is not None)
        once.note((record["kind"], *named), path, f"{record['kind']} records of {said}")
        copies.note((record["kind"], *named[:-1], record["protocol_id"]), str(path), record)
        metrics = {name: _number(entry) for name, entry in record["metrics"].items()}
        non_finite += [NonFinite(str(path), name, value) for name, value in metrics.items() if not _finite(value)]
        intervals |= {(str(path), name): found for name, found in _intervals(record["metrics"]).items()}
        _note_labels(labels, record["metrics"], path)
        protocols[record["protocol_id"]] = flatten(record["protocol"])
        provenance[str(path)] = record.get("provenance") or {}
        identity = {"file": str(path), "kind": record["kind"], "protocol_id": record["protocol_id"]}
        timed = {name: entry for name, entry in record["metrics"].items() if "protocol" in entry}
        protocols |= {entry["protocol_id"]: flatten(entry["protocol"]) for entry in timed.values()}
        ways = {own_protocol(name): entry["protocol_id"] for name, entry in timed.items()}
        rows.append({**record["subject"], **metrics, **identity, **ways})
    give_speeds(rows, intervals)
    again = copies.found()
    kept = pd.DataFrame([row for row in rows if row["file"] not in {copy.file for copy in again}])
    return Scores(kept, intervals, labels, protocols, provenance, non_finite, again)


def _intervals(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, BootstrapInterval]:
    """The intervals that a record has, on the scale of its numbers."""
    found = {}
    for name, entry in metrics.items():
        if "interval" in entry:
            interval, unit = entry["interval"], {"unit": entry.get("unit")}
            low, high = (_number({"value": interval[end], **unit}) for end in ("low", "high"))
            if low is not None and high is not None:
                over: Literal["images", "batches"] = "batches" if name.endswith("per_second") else "images"
                found[name] = BootstrapInterval(low, high, interval["coverage"], over)
    return found


def _number(entry: Mapping[str, Any]) -> float | None:
    """The value of a metric; a percentage becomes a fraction, so that all rates are on one scale."""
    value = entry["value"]
    return value / 100 if entry.get("unit") == "%" and value is not None else value


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _note_labels(labels: dict[str, Metric], metrics: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    for name, entry in metrics.items():
        unit = str(entry.get("unit") or "")
        stated = {key: entry[key] for key in ("label", "better") if entry.get(key) not in (None, "", name)}
        label = replace(described(name), unit="" if unit in ("%", "fraction") else unit, **stated)
        known = labels.setdefault(name, label)
        if known.label != label.label:
            raise ScoreError(
                f"{path}: calls {name} {label.label!r}, files read before call it {known.label!r}; these are two "
                f"measures: score both the same way"
            )


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
