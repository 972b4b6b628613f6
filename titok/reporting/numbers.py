"""What was measured in a run: every metric of every score, and sums of what was trained and made, one number each.

Two runs are aligned by ``What`` a number is of. A run comes from a results folder, or from a file of numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from titok.errors import ScoreError
from titok.records.metric import described
from titok.records.record import read_record
from titok.reporting.collect import flatten
from titok.reporting.digests import SAMPLE_ARRAYS, TOKEN_ARRAYS, digest_arrays, digest_weights
from titok.runtime.files import read_json

SUMS = ("weights", "samples", "tokens")
"""Metrics whose value is a SHA-256: equal or not, and nothing between."""
_FACTS = ("size", "num_latent_tokens")
"""Of a score's subject, what figures need."""
_FILES = (
    ("classifier", "weights", "classifiers/{name}/model.safetensors"),
    ("vqgan", "weights", "{name}/model.safetensors"),
    ("tokenizer", "weights", "tokenizers/{name}/seed{seed}/{stage}/model.safetensors"),
    ("generator", "weights", "generators/{name}/seed{seed}/model.safetensors"),
    ("samples", "samples", "samples/{name}/{sampler}/seed{seed}.npz"),
    ("samples", "samples", "samples/{name}/{sampler}/seed{seed}/index.json"),
    ("tokens", "tokens", "tokens/{name}/seed{seed}/{stage}.npz"),
    ("tokens", "tokens", "tokens/{name}.npz"),
)
"""Kind and metric of what lies where in a results folder."""


class What(NamedTuple):
    """What a number is of, the seed apart: the same in two runs that can be compared."""

    kind: str
    """A record's kind, or that of a model (``tokenizer``), ``samples`` or ``tokens``."""
    name: str
    """Of the tokenizer, generator or classifier."""
    stage: str = ""
    sampler: str = ""

    def __str__(self) -> str:
        return f"{self.kind.replace('_', ' ')} {', '.join(filter(None, (self.name, self.stage, self.sampler)))}"


class Key(NamedTuple):
    """What makes a number one of its kind."""

    what: What
    seed: int
    metric: str


@dataclass(frozen=True)
class Number:
    """A value with what its record says about it; sums have a value alone."""

    value: float | str
    low: float | None = None
    high: float | None = None
    """Ends of the bootstrap interval over images, where the record has one."""
    protocol_id: str = ""


@dataclass(frozen=True)
class Run:
    """All numbers of a run.

    Attributes:
        name: where they come from, as the user named it.
        study: whose.
        numbers: each value by what it is.
        facts: what -> its `size` and `num_latent_tokens`, as far as known.
        labels: metric -> its name in records.
        protocols: protocol_id -> the protocol, flattened to dotted keys.
        environment: what decides bits, and whose numbers these are: key -> every value found.
    """

    name: str
    study: str
    numbers: dict[Key, Number]
    facts: dict[What, dict[str, Any]]
    labels: dict[str, str]
    protocols: dict[str, dict[str, Any]]
    environment: Mapping[str, list[str]]

    def label(self, metric: str) -> str:
        """A metric's name."""
        return self.labels.get(metric, metric.replace("_", " "))


def read_folder(folder: Path, *, with_sums: bool = True) -> Run:
    """The run of a results folder, for example ``results/digits``; speeds, which follow the machine, are left out.

    Args:
        with_sums: also weights, samples and tokens; reads every such file.

    Raises:
        ScoreError: the folder has no scores, or a record is incomplete, doubled or not finite.
    """
    paths = sorted((folder / "scores").rglob("*.json"))
    if not paths:
        raise ScoreError(
            f"{folder} has no scores (scores/**/*.json); name the results folder of a study that was run, for example "
            f"results/digits, or a file that `titok numbers` wrote (.csv)"
        )
    records = {path: read_record(path) for path in paths}
    run = Run(str(folder), str(next(iter(records.values())).get("study", folder.name)), {}, {}, {}, {}, {})
    origins = [record.get("provenance") or {} for record in records.values()]
    for path, record in records.items():
        _add(run, record, path)
    if with_sums:
        for key, number, path in _sums(folder):
            run.numbers[key] = number
            manifest = path.with_name("manifest.json")
            origins += [read_json(manifest).get("provenance") or {}] if manifest.exists() else []
    return replace(run, environment=_environment(filter(None, origins)))


def _add(run: Run, record: Mapping[str, Any], path: Path) -> None:
    """Adds a record's numbers to a run that is being read; of a speed's sittings the first, as they differ in speed."""
    if record["subject"].get("sitting"):
        return
    what, seed = _what(record, path), int(record["subject"].get("seed", 0))
    run.facts[what] = {key: record["subject"][key] for key in _FACTS if key in record["subject"]}
    run.protocols[record["protocol_id"]] = flatten(record["protocol"])
    for metric, entry in record["metrics"].items():
        if described(metric).follows == "machine":
            continue
        key = Key(what, seed, metric)
        if key in run.numbers:
            raise ScoreError(f"{path}: {metric} of {what}, seed {seed}, is in another record, too; delete one of them")
        run.numbers[key] = _number(entry, record["protocol_id"], f"{path}: {metric}")
        run.labels[metric] = str(entry.get("label") or metric.replace("_", " "))


def _what(record: Mapping[str, Any], path: Path) -> What:
    subject = record["subject"]
    if "generator" in subject:
        return What(record["kind"], subject["generator"], sampler=str(subject.get("sampler", "")))
    if "tokenizer" not in subject:
        raise ScoreError(f"{path}: its subject names neither a tokenizer nor a generator; score again")
    return What(record["kind"], subject["tokenizer"], str(subject.get("stage", "")))


def _number(entry: Mapping[str, Any], protocol_id: str, where: str) -> Number:
    value = entry.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ScoreError(
            f"{where} is {value!r}; only finite numbers are compared: look at what was scored, score again"
        )
    interval = entry.get("interval") or {}
    return Number(value, interval.get("low"), interval.get("high"), protocol_id)


def _sums(folder: Path) -> Iterator[tuple[Key, Number, Path]]:
    """Sums of every model, sample set and token set of a results folder, and the files."""
    for kind, metric, template in _FILES:
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/.]+)", re.escape(template))
        for path in sorted(folder.glob(re.sub(r"\{\w+\}", "*", template))):
            # Names with a dot are files that another process is writing.
            if found := re.fullmatch(pattern, path.relative_to(folder).as_posix()):
                names = found.groupdict()
                what = What(kind, names["name"], names.get("stage", ""), names.get("sampler", ""))
                yield Key(what, int(names.get("seed", 0)), metric), Number(_digest(metric, path)), path


def _digest(metric: str, path: Path) -> str:
    if metric == "weights":
        return digest_weights(path)
    samples = path if path.suffix == ".npz" else path.parent
    return digest_arrays(samples, SAMPLE_ARRAYS if metric == "samples" else TOKEN_ARRAYS)


def _environment(origins: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What the provenance of all records says, each value once."""
    found: dict[str, set[str]] = {}
    for origin in origins:
        code, device, machine = (origin.get(part) or {} for part in ("code", "device", "machine"))
        values = {
            "commit": code.get("commit"),
            # Records from before it could be chosen were made with the processor's own.
            "arithmetic": origin.get("arithmetic", "native"),
            "torch": (origin.get("packages") or {}).get("torch"),
            "device": device.get("name") or device.get("type"),
            "architecture": machine.get("architecture"),
            "processor": machine.get("cpu"),
        }
        for key, value in values.items():
            found.setdefault(key, set()).add(str(value or "unknown"))
    return {key: sorted(values) for key, values in found.items()}
