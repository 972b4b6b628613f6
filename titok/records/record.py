"""The score record: one JSON file per score, with the protocol that made it and where it comes from.

Numbers of two protocols must never share a column, so a record carries a short id of its protocol; and only numbers
of the Inception network carry the bare names FID and IS.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from titok.errors import ScoreError
from titok.records.metric import METRICS, Metric, metric_of
from titok.runtime.files import read_json, write_json
from titok.runtime.sums import sha256_json

Kind = Literal["reconstruction", "lengths", "linear_probe", "generation", "throughput", "costs"]
PROTOCOL_ID_DIGITS = 12
_READ = ("kind", "subject", "metrics", "protocol", "protocol_id")
_KEYS = {*_READ, "study", "provenance"}


@dataclass(frozen=True)
class Interval:
    """Where a number would lie with other images of the same kind, most of the time."""

    low: float
    high: float
    coverage: float
    """How much of the time: 0.95."""


def protocol_id(protocol: Mapping[str, Any]) -> str:
    """First digits of the SHA-256 of the protocol: equal protocols have equal ids."""
    return sha256_json(dict(protocol))[:PROTOCOL_ID_DIGITS]


def score_record(
    kind: Kind,
    study: str,
    subject: Mapping[str, Any],
    metrics: Mapping[str, float],
    protocol: Mapping[str, Any],
    provenance: Mapping[str, Any],
    intervals: Mapping[str, Interval] | None = None,
    timed: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Puts a record together and checks it.

    Args:
        kind: what was scored.
        study: whose name goes before labels of metrics that its own classifier made.
        subject: the thing scored: names, seed, sizes.
        metrics: values by key of ``METRICS``.
        protocol: everything that changes the numbers; ``protocol["extractor"]["kind"]`` decides the labels.
        provenance: from ``titok.runtime.manifest.provenance``.
        intervals: bootstrap intervals of some of the metrics.
        timed: protocols of speeds (device, precision, batch) that were measured apart from the other numbers.

    Raises:
        ScoreError: a metric is unknown or not finite, or a part is empty.
    """
    described = {}
    for key, value in metrics.items():
        metric = _described(key)
        described[key] = {
            "value": value,
            "label": _label(metric, study, protocol),
            "better": metric.better,
            "unit": metric.unit,
        }
        if intervals and key in intervals:
            described[key]["interval"] = asdict(intervals[key])
        if timed and key in timed:
            described[key] |= {"protocol": dict(timed[key]), "protocol_id": protocol_id(timed[key])}
    record = {
        "kind": kind,
        "study": study,
        "subject": dict(subject),
        "metrics": described,
        "protocol": dict(protocol),
        "protocol_id": protocol_id(protocol),
        "provenance": dict(provenance),
    }
    check_record(record)
    return record


def check_record(record: Mapping[str, Any], where: str = "score record") -> None:
    """Refuses a record that a table could misread.

    Raises:
        ScoreError: names the key, what it holds and what is allowed.
    """
    if set(record) != _KEYS:
        missing, extra = sorted(_KEYS - set(record)), sorted(set(record) - _KEYS)
        raise ScoreError(f"{where}: missing keys {missing}, unknown keys {extra}; allowed: {sorted(_KEYS)}")
    if record["kind"] not in get_args(Kind):
        raise ScoreError(f"{where}: kind is {record['kind']!r}; allowed: {', '.join(get_args(Kind))}")
    for part in ("subject", "metrics", "protocol", "provenance"):
        if not isinstance(record[part], Mapping) or not record[part]:
            raise ScoreError(f"{where}: {part} is {record[part]!r}; give a mapping with at least one entry")
    for key, entry in record["metrics"].items():
        metric = _described(key, where)
        value = entry.get("value")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ScoreError(
                f"{where}: metric {key} is {value!r}; only finite numbers are scores, leave out the others"
            )
        label = _label(metric, record["study"], record["protocol"])
        stated = {name: entry.get(name) for name in ("label", "better", "unit")}
        if stated != {"label": label, "better": metric.better, "unit": metric.unit}:
            raise ScoreError(
                f"{where}: metric {key} is described as {stated}; expected label {label!r}, better "
                f"{metric.better!r}, unit {metric.unit!r}: score again"
            )
        if "interval" in entry:
            _check_interval(entry["interval"], f"{where}: metric {key}")
        if "protocol" in entry:
            _check_own_protocol(metric, entry, f"{where}: metric {key}")
    if record["protocol_id"] != protocol_id(record["protocol"]):
        raise ScoreError(
            f"{where}: protocol_id is {record['protocol_id']!r} but the protocol's is "
            f"{protocol_id(record['protocol'])!r}; the file was edited, score again"
        )


def _check_own_protocol(metric: Metric, entry: Mapping[str, Any], where: str) -> None:
    found = entry["protocol"]
    if metric.follows != "machine" or not isinstance(found, Mapping) or not found:
        raise ScoreError(
            f"{where} has the protocol {found!r}; only speeds have one of their own, a mapping with entries"
        )
    if entry.get("protocol_id") != protocol_id(found):
        raise ScoreError(
            f"{where} has protocol_id {entry.get('protocol_id')!r} but its protocol's is {protocol_id(found)!r}; the "
            f"file was edited, score again"
        )


def _check_interval(interval: Any, where: str) -> None:
    names = {"low", "high", "coverage"}
    if (
        isinstance(interval, Mapping)
        and set(interval) == names
        and all(isinstance(interval[name], float | int) and math.isfinite(interval[name]) for name in names)
        and interval["low"] <= interval["high"]
        and 0 < interval["coverage"] < 1
    ):
        return
    raise ScoreError(
        f"{where} has the interval {interval!r}; allowed: finite low, high (not below it) and coverage (0 to 1)"
    )


def write_record(path: str | Path, record: Mapping[str, Any]) -> None:
    """Checks a record and writes it atomically as JSON."""
    check_record(record, str(path))
    write_json(path, dict(record))


def read_record(path: Path) -> dict[str, Any]:
    """A record as it stands, be it of an earlier version or with numbers that are none.

    Raises:
        ScoreError: it lacks a part that tables need.
    """
    record = read_json(path)
    missing = [part for part in _READ if not isinstance(record, dict) or part not in record]
    if missing:
        raise ScoreError(f"{path}: not a score record, it lacks {', '.join(missing)}; delete the file and score again")
    if record["kind"] not in get_args(Kind):
        raise ScoreError(f"{path}: kind is {record['kind']!r}; allowed: {', '.join(get_args(Kind))}")
    return dict(record)


def _described(key: str, where: str = "score record") -> Metric:
    metric = metric_of(key)
    if metric is None:
        raise ScoreError(f"{where}: metric {key!r} is unknown; allowed: {', '.join(METRICS)}, fd_NAME, kid_NAME")
    return metric


def _label(metric: Metric, study: str, protocol: Mapping[str, Any]) -> str:
    """``digits-rFID`` unless the features are Inception's, whose numbers alone are called rFID; ``DINOv2-FD``."""
    if metric.encoder is not None:
        try:
            return f"{protocol['encoders'][metric.encoder]['label']}-{metric.label}"
        except (KeyError, TypeError):
            raise ScoreError(
                f"{metric.label} of encoder {metric.encoder!r} needs protocol['encoders'][{metric.encoder!r}]['label'] "
                f"for its label, found encoders {protocol.get('encoders')!r}"
            ) from None
    if not metric.of_features:
        return metric.label
    extractor = protocol.get("extractor")
    if not isinstance(extractor, Mapping) or "kind" not in extractor:
        raise ScoreError(f"{metric.label} needs protocol['extractor']['kind'] for its label, found {extractor!r}")
    return metric.label if extractor["kind"] == "inception" else f"{study}-{metric.label}"
