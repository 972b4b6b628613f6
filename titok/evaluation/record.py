"""The score record: one JSON file per score, with the protocol that made it and where it comes from.

Numbers of two protocols must never share a column, so a record carries a short id of its protocol; and only numbers
of the Inception network carry the bare names FID and IS.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from titok.config.section import fingerprint
from titok.errors import ScoreError
from titok.runtime.files import write_json

if TYPE_CHECKING:
    from titok.metrics.bootstrap import Interval

Kind = Literal["reconstruction", "lengths", "linear_probe", "generation", "throughput"]
PROTOCOL_ID_DIGITS = 12
_KEYS = {"kind", "study", "subject", "metrics", "protocol", "protocol_id", "provenance"}


@dataclass(frozen=True)
class Metric:
    """What a number is called, which way is better, and in what unit it is."""

    label: str
    better: Literal["lower", "higher", "neither"]
    unit: str = ""
    of_features: bool = False
    """Its size depends on the extractor, so that its label says whose it is."""
    encoder: str | None = None
    """The study's name of the network that it is made with, where that is none of the extractor."""
    follows: Literal["training", "settings", "machine"] = "training"
    """What another value comes from: another training (so seeds spread it), other settings alone (an exact count), or
    another machine or moment (a speed), whose numbers nobody gets again."""


METRICS: dict[str, Metric] = {
    "rfid": Metric("rFID", "lower", of_features=True),
    "gfid": Metric("gFID", "lower", of_features=True),
    "sfid": Metric("sFID", "lower", of_features=True),
    "rfid_infinity": Metric("rFID at infinite N", "lower", of_features=True),
    "gfid_infinity": Metric("gFID at infinite N", "lower", of_features=True),
    "kid": Metric("KID", "lower", of_features=True),
    "mind": Metric("MIND", "lower", of_features=True),
    "inception_score": Metric("IS", "higher", of_features=True),
    "inception_score_adm": Metric("IS (ADM splits)", "higher", of_features=True),
    "precision": Metric("precision", "higher", "fraction", of_features=True),
    "recall": Metric("recall", "higher", "fraction", of_features=True),
    "density": Metric("density", "higher", of_features=True),
    "coverage": Metric("coverage", "higher", "fraction", of_features=True),
    "psnr": Metric("PSNR", "higher", "dB"),
    "ssim": Metric("SSIM", "higher"),
    "lpips": Metric("LPIPS (VGG16)", "lower"),
    "codebook_usage": Metric("codebook usage", "higher", "fraction"),
    "codebook_entropy_bits": Metric("codebook entropy", "higher", "bits"),
    "codebook_perplexity": Metric("codebook perplexity", "higher", "codes"),
    "classifier_accuracy": Metric("read as their label", "higher", "fraction"),
    "judge_accuracy": Metric("real images read as their label", "higher", "fraction"),
    "chance_accuracy": Metric("real images of the most frequent class", "neither", "fraction"),
    "explained_variance": Metric("explained variance of the pixels", "higher"),
    "class_agreement": Metric("read as the class asked for", "higher", "fraction"),
    "duplicate_fraction": Metric("duplicate samples", "lower", "fraction"),
    "constant_fraction": Metric("constant samples", "lower", "fraction"),
    "linear_probe_top1": Metric("linear probe top-1", "higher", "fraction"),
    "bits_per_image": Metric("bits per image", "lower", follows="settings"),
    "parameters": Metric("parameters", "neither", follows="settings"),
    "encoder_parameters": Metric("encoder parameters", "neither", follows="settings"),
    "decoder_parameters": Metric("decoder parameters", "neither", follows="settings"),
    "generator_parameters": Metric("generator parameters", "neither", follows="settings"),
    "sampling_images_per_second": Metric("sampling speed", "higher", "images/s", follows="machine"),
    "sampling_gflop": Metric("operations per sample", "lower", "GFLOP", follows="settings"),
    "training_images_per_second": Metric("training speed", "higher", "images/s per device", follows="machine"),
}
METRICS |= {
    f"linear_probe_top1_{of}_{pooling}": Metric(f"linear probe top-1 ({of}, {pooling})", "higher", "fraction")
    for of in ("bottleneck", "width", "codes")
    for pooling in ("mean", "concatenate")
}
"""Every metric a record may hold, beside those of a study's own encoders (`metric_of`)."""
_ENCODERS = re.compile(r"(fd|kid)_([a-z0-9][a-z0-9_-]*)")
LENGTH_METRICS: dict[str, Metric] = {
    "l1": Metric("mean absolute error", "lower"),
    "class": Metric("read as the image", "higher", "fraction"),
    "threshold": Metric("threshold", "neither"),
    "met": Metric("images that meet it", "higher", "fraction"),
    "mean_length": Metric("tokens per image", "lower"),
    "gain": Metric("gain over one length", "higher"),
    "met_gain": Metric("gain in images that meet it", "higher", "fraction"),
    "gain_over_fixed": Metric("gain over tokenizers of one length", "higher"),
    "needed_length": Metric("tokens needed at least", "lower"),
    "familiarity_gap": Metric("tokens more that the second images need", "neither"),
    "rank_with_jpeg_size": Metric("Spearman of length and JPEG size", "neither"),
    "rank_with_complexity": Metric("Spearman of length and complexity", "neither"),
}
"""Of lengths alone, each with an ending."""
_AT = re.compile(r"(?P<name>\w+)@(?:(?P<length>\d+)|(?P<rule>[a-z][a-z0-9]*(?:[<>](?:K=)?[0-9.e+-]+)?))")
_SHARE = re.compile(r"share_of_(\d+)")


def metric_of(key: str) -> Metric | None:
    """What a key of a record means; null: nothing. ``fd_NAME`` and ``kid_NAME`` are of the study's encoder NAME.

    ``NAME@8``: where all images have 8 tokens. ``NAME@l1<0.05``: where each has the fewest with that;
    ``NAME@l1<K=16``: with the mean of a tokenizer of 16.
    ``second_NAME@8``: of images of another kind.
    """
    if at := _AT.fullmatch(key):
        name = at["name"].removeprefix("second_")
        share = _SHARE.fullmatch(name)
        of_share = Metric(f"images of {share[1]} tokens", "neither", "fraction") if share else None
        metric = LENGTH_METRICS.get(name) or METRICS.get(name) or of_share
        whose = "" if name == at["name"] else " of the second images"
        where = f"K = {at['length']}" if at["length"] else at["rule"]
        return replace(metric, label=f"{metric.label}{whose}, {where}") if metric else None
    found = _ENCODERS.fullmatch(key)
    return METRICS.get(key) or (Metric(found[1].upper(), "lower", encoder=found[2]) if found else None)


def protocol_id(protocol: Mapping[str, Any]) -> str:
    """First digits of the SHA-256 of the protocol: equal protocols have equal ids."""
    return fingerprint(dict(protocol))[:PROTOCOL_ID_DIGITS]


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
