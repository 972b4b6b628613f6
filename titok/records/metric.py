"""Every number that a record may hold: what it is called, which way is better, in what unit, and how it is written.

One table for those who write records and those who show them; no torch here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

Better = Literal["lower", "higher", "neither"]


@dataclass(frozen=True)
class Metric:
    """What a number is called, which way is better, in what unit it is, and how it is written."""

    label: str
    better: Better
    unit: str = ""
    decimals: int = 2
    in_percent: bool = False
    """How tables write it; fractions that are no shares of things stay fractions."""
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
    "kid": Metric("KID", "lower", of_features=True, decimals=5),
    "mind": Metric("MIND", "lower", of_features=True),
    "inception_score": Metric("IS", "higher", of_features=True),
    "inception_score_adm": Metric("IS (ADM splits)", "higher", of_features=True),
    "precision": Metric("precision", "higher", "fraction", of_features=True, decimals=3),
    "recall": Metric("recall", "higher", "fraction", of_features=True, decimals=3),
    "density": Metric("density", "higher", of_features=True, decimals=3),
    "coverage": Metric("coverage", "higher", "fraction", of_features=True, decimals=3),
    "psnr": Metric("PSNR", "higher", "dB"),
    "ssim": Metric("SSIM", "higher", decimals=3),
    "lpips": Metric("LPIPS (VGG16)", "lower", decimals=3),
    "detections_preserved": Metric("detections preserved", "higher", "fraction", decimals=1, in_percent=True),
    "codebook_usage": Metric("codebook usage", "higher", "fraction", decimals=1, in_percent=True),
    "codebook_entropy_bits": Metric("codebook entropy", "higher", "bits"),
    "codebook_perplexity": Metric("codebook perplexity", "higher", "codes", decimals=1),
    "classifier_accuracy": Metric("read as their label", "higher", "fraction", decimals=1, in_percent=True),
    "judge_accuracy": Metric("real images read as their label", "higher", "fraction"),
    "chance_accuracy": Metric("real images of the most frequent class", "neither", "fraction"),
    "explained_variance": Metric("explained variance of the pixels", "higher"),
    "class_agreement": Metric("read as the class asked for", "higher", "fraction", decimals=1, in_percent=True),
    "duplicate_fraction": Metric("duplicate samples", "lower", "fraction"),
    "constant_fraction": Metric("constant samples", "lower", "fraction"),
    "linear_probe_top1": Metric("linear probe top-1", "higher", "fraction", decimals=1, in_percent=True),
    "bits_per_image": Metric("bits per image", "lower", follows="settings", decimals=0),
    "coded_bits_per_image": Metric("bits per image, coded", "lower", decimals=1),
    "coded_bits_per_image_by_position": Metric("bits per image, coded by position", "lower", decimals=1),
    "kl_bits_per_image": Metric("bits per image, KL rate", "lower", decimals=1),
    "parameters": Metric("parameters", "neither", follows="settings", decimals=0),
    "encoder_parameters": Metric("encoder parameters", "neither", follows="settings"),
    "decoder_parameters": Metric("decoder parameters", "neither", follows="settings"),
    "generator_parameters": Metric("generator parameters", "neither", follows="settings", decimals=0),
    "sampling_images_per_second": Metric("sampling speed", "higher", "images/s", follows="machine", decimals=1),
    "sampling_gflop": Metric("operations per sample", "lower", "GFLOP", follows="settings", decimals=3),
    "encode_gflop": Metric("operations to encode", "lower", "GFLOP", follows="settings", decimals=3),
    "decode_gflop": Metric("operations to decode", "lower", "GFLOP", follows="settings", decimals=3),
    "encode_images_per_second": Metric("encoding", "higher", "images/s", follows="machine", decimals=1),
    "decode_images_per_second": Metric("decoding", "higher", "images/s", follows="machine", decimals=1),
    "peak_memory_mib": Metric("memory beside the weights", "lower", "MiB", follows="machine", decimals=0),
    "training_images_per_second": Metric(
        "training speed", "higher", "images/s per device", follows="machine", decimals=1
    ),
}
READ_FROM = ("bottleneck", "width", "codes")
POOLINGS = ("mean", "concatenate")
"""What a linear probe may read, and how it puts tokens together; `linear_probe_top1_{of}_{pooling}`."""
METRICS |= {
    f"linear_probe_top1_{of}_{pooling}": replace(
        METRICS["linear_probe_top1"], label=f"linear probe top-1 ({of}, {pooling})"
    )
    for of in READ_FROM
    for pooling in POOLINGS
}
"""Every metric a record may hold, beside those of a study's own encoders (`metric_of`)."""
_ENCODERS = re.compile(r"(fd|kid)_([a-z0-9][a-z0-9_-]*)")
LENGTH_METRICS: dict[str, Metric] = {
    "l1": Metric("mean absolute error", "lower", decimals=4),
    "class": Metric("read as the image", "higher", "fraction"),
    "threshold": Metric("threshold", "neither", decimals=4),
    "met": Metric("images that meet it", "higher", "fraction", decimals=1, in_percent=True),
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
SECOND = "second_"
"""Before the name of a metric: of images of another kind."""


def described(key: str) -> Metric:
    """What a column of a table is called and how it is written; a key that means nothing is its own name."""
    return metric_of(key) or _of_lengths(key) or Metric(key, "neither")


def metric_of(key: str) -> Metric | None:
    """What a key of a record means; null: nothing. ``fd_NAME`` and ``kid_NAME`` are of the study's encoder NAME.

    ``NAME@8``: where all images have 8 tokens. ``NAME@l1<0.05``: where each has the fewest with that;
    ``NAME@l1<K=16``: with the mean of a tokenizer of 16. ``second_NAME@8``: of images of another kind.
    """
    if at := _AT.fullmatch(key):
        metric = _of_lengths(at["name"])
        where = f"K = {at['length']}" if at["length"] else at["rule"]
        # Of images' own lengths, even bits are what a training makes of them.
        told = metric.follows if metric and at["length"] else "training"
        return replace(metric, label=f"{metric.label}, {where}", follows=told) if metric else None
    if found := _ENCODERS.fullmatch(key):
        decimals = METRICS["kid"].decimals if found[1] == "kid" else Metric.decimals
        return Metric(found[1].upper(), "lower", decimals=decimals, encoder=found[2])
    return METRICS.get(key)


def _of_lengths(name: str) -> Metric | None:
    """What a name before an ending means."""
    own = name.removeprefix(SECOND)
    share = _SHARE.fullmatch(own)
    of_share = Metric(f"images of {share[1]} tokens", "neither", "fraction") if share else None
    metric = LENGTH_METRICS.get(own) or METRICS.get(own) or of_share
    return metric if own == name or metric is None else replace(metric, label=f"{metric.label} of the second images")
