"""``titok doctor score``: one set of images, scored in every known way, to find out where a number comes from."""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from titok.data.loading import batches_of, in_order
from titok.data.shard_index import split_of
from titok.data.shards import ShardReader
from titok.data.streamed import StreamedSet
from titok.data.transforms import pixels, to_uint8
from titok.errors import ScoreError
from titok.evaluation.explanation import CLOSE, Explanation, explain
from titok.evaluation.findings import rank_findings
from titok.evaluation.reference import Reference, load_reference
from titok.evaluation.samples import Samples
from titok.evaluation.waterfall import Network, Row, Rule, Waterfall
from titok.metrics.features import FeatureExtractor, InceptionExtractor
from titok.runtime.device import select_device
from titok.runtime.files import write_json

METRICS = {"rfid": "fid", "gfid": "fid", "fid": "fid", "sfid": "sfid", "inception_score": "inception_score"}
"""What people call a number -> the rows' metric."""


class ShardOriginals:
    """Real images as they were before any crop."""

    rules: tuple[Rule, ...] = ("official", "adm", "bilinear", "uncropped")

    def __init__(self, index: Path, size: int, batch_size: int, workers: int) -> None:
        self._folder, self._split = split_of(index)
        self._size, self._batch_size, self._workers = size, batch_size, workers
        self._count = len(ShardReader(self._folder, self._split))

    def __len__(self) -> int:
        return self._count

    def batches(self, rule: Rule) -> Iterator[Tensor]:
        """uint8 (B, 3, H, W), in order; whole images come one by one."""
        if rule == "uncropped":
            reader = ShardReader(self._folder, self._split)
            whole = _Whole(reader)
            parts = batches_of(range(self._count), 1)
            yield from in_order(whole, parts, workers=self._workers, name=reader.name)
            return
        images = StreamedSet(self._folder, self._split, self._size, rule, workers=self._workers)
        for batch in images.crops(self._size, self._batch_size):
            yield to_uint8(batch.images, "round")


class _Whole:
    """Reads one image at its own size; worker processes get a copy."""

    def __init__(self, reader: ShardReader) -> None:
        self._reader = reader

    def __call__(self, index: int) -> Tensor:
        return pixels(self._reader.image(index))


class ArrayOriginals:
    """Real images that were cropped already."""

    rules: tuple[Rule, ...] = ("official",)

    def __init__(self, samples: Samples, batch_size: int) -> None:
        self._samples, self._batch_size = samples, batch_size

    def __len__(self) -> int:
        return len(self._samples)

    def batches(self, rule: Rule) -> Iterator[Tensor]:
        """uint8 (B, 3, H, W), in order."""
        for batch in self._samples.batches(self._batch_size):
            yield torch.from_numpy(batch).permute(0, 3, 1, 2)


def score(options: argparse.Namespace) -> None:
    """Prints the named protocols, the waterfall and, for a given number, the likeliest explanation."""
    device = select_device(options.device)
    samples = Samples.open(*options.files)
    if samples.shape[1] != samples.shape[2]:
        raise ScoreError(f"the samples are {samples.shape[1]} x {samples.shape[2]} pixels; they must be square")

    def network(resize: Network) -> FeatureExtractor:
        return InceptionExtractor(options.weights, options.sha256, options.dtype, device, resize)

    waterfall = Waterfall(
        samples,
        options.written,
        _originals(options, samples),
        _references(options.reference, samples),
        network,
        batch_size=options.batch_size,
        scratch=options.scratch,
        device=device,
    )
    report = examine(waterfall, options)
    if options.output is not None:
        write_json(options.output, report)
    print(json.dumps(report, indent=2) if options.json else as_text(report))


def examine(waterfall: Waterfall, options: argparse.Namespace) -> dict[str, Any]:
    """Everything that is printed, as plain data."""
    _note_what_is_odd(waterfall)
    rows = waterfall.rows(options.steps)
    protocols = waterfall.protocols() if options.protocols else []
    report: dict[str, Any] = {
        "images": len(waterfall.samples),
        "written": waterfall.written,
        "dtype": options.dtype,
        "protocols": [{"name": row.name, **row.metrics} for row in protocols],
        "waterfall": [_with_changes(row, rows[0]) for row in rows],
        "notes": waterfall.notes,
    }
    line = waterfall.line() if "size" in options.steps else None
    if line is not None:
        report["fid_at_infinite_n"], report["fid_slope"] = line.value, line.slope
        report["fid_at_infinite_n_error"] = waterfall.line_error(line)
    if options.my_number is not None:
        found = explain(rows, METRICS[options.metric], options.my_number, line)
        report["my_number"] = {"metric": options.metric, "value": options.my_number}
        report["explanations"] = [
            {**asdict(one), "mistake": one.mistake._asdict() if one.mistake else None} for one in found[:5]
        ]
        report["verdict"] = verdict(found, options.my_number)
    return report


def verdict(found: list[Explanation], number: float) -> str:
    """One paragraph about the likeliest explanation."""
    official = next(one for one in found if one.name == "official")
    if math.isclose(official.value, number, rel_tol=0.01):
        return f"{number:g} is what the official way gives ({official.value:.4g}): nothing was done otherwise."
    best = found[0]
    if best.explained < CLOSE or best.name == "official":
        return (
            f"No single known mistake explains {number:g}; the official way gives {official.value:.4g}, the nearest is "
            f"'{best.name}' with {best.value:.4g}. Two may have come together, or the images are not the same."
        )
    count = f" (about {best.images} images would give it)" if best.images else ""
    known = best.mistake
    why = f" {known.advice[0].upper()}{known.advice[1:]}. Seen in: {known.seen_in}." if known else ""
    return f"{number:g} is best explained by '{best.name}'{count}: {best.value:.4g}, not {official.value:.4g}.{why}"


def as_text(report: dict[str, Any]) -> str:
    """The report for a terminal."""
    parts = [f"{report['images']} images, Inception in {report['dtype']}"]
    if report["protocols"]:
        parts.append(_table("by the named protocols", report["protocols"]))
    parts.append(_table("one change at a time", report["waterfall"]))
    if "fid_at_infinite_n" in report:
        parts.append(_at_infinity(report["fid_at_infinite_n"], report["fid_at_infinite_n_error"]))
    parts += [f"not tried: {note}" for note in report["notes"]]
    if "verdict" in report:
        parts.append(report["verdict"])
    return "\n\n".join(parts)


def _at_infinity(value: float, error: float) -> str:
    """No distance is negative, but the end of a line may be."""
    found = "below 0" if value < 0 else f"{value:.4g}"
    return f"FID at infinite N: {found} (standard error {error:.2g})"


def _table(title: str, rows: list[dict[str, Any]]) -> str:
    columns = {"fid": "FID", "fid_change": "change", "sfid": "sFID", "inception_score": "IS"}
    shown = {key: head for key, head in columns.items() if any(key in row for row in rows)}
    width = max(len(title), *(len(row["name"]) for row in rows))
    lines = [f"{title:{width}}" + "".join(f"  {head:>10}" for head in shown.values())]
    for row in rows:
        cells = [_cell(row, key) for key in shown]
        lines.append(f"{row['name']:{width}}" + "".join(f"  {cell:>10}" for cell in cells))
    return "\n".join(lines)


def _cell(row: dict[str, Any], key: str) -> str:
    if key not in row:
        return ""
    return f"{row[key]:+.4f}" if key.endswith("change") else f"{row[key]:.4f}"


def _with_changes(row: Row, official: Row) -> dict[str, Any]:
    changes = {f"{key}_change": value - official.metrics[key] for key, value in row.metrics.items()}
    return {"name": row.name, "step": row.step, **row.metrics, **(changes if row.step else {})}


def _note_what_is_odd(waterfall: Waterfall) -> None:
    count, originals = len(waterfall.samples), waterfall.originals
    if originals is not None and len(originals) != count:
        waterfall.notes.append(f"pairs: {count} samples stand against {len(originals)} originals; rFID needs as many")
    for finding in rank_findings(count, InceptionExtractor.feature_dim, "images"):
        waterfall.notes.append(f"{finding.found}; every FID below is too large, and only their order means something")


def _originals(options: argparse.Namespace, samples: Samples) -> ShardOriginals | ArrayOriginals | None:
    path: Path | None = options.originals
    if path is None:
        if not options.reference:
            raise ScoreError("give --originals, --reference or both: a score needs real images to compare with")
        return None
    if path.name.endswith(".index.npz"):
        return ShardOriginals(path, samples.shape[1], options.batch_size, options.workers)
    originals = Samples.open(path)
    if originals.shape[1:3] != samples.shape[1:3]:
        raise ScoreError(
            f"{path} is of images of {originals.shape[1]} x {originals.shape[2]} pixels, the samples have "
            f"{samples.shape[1]} x {samples.shape[2]}; name the originals of this size"
        )
    return ArrayOriginals(originals, options.batch_size)


def _references(paths: list[Path], samples: Samples) -> dict[str, Reference]:
    """The files by name; moments of another network or of images of another size are refused."""
    repeated = sorted(name for name, count in Counter(path.name for path in paths).items() if count > 1)
    if repeated:
        same = ", ".join(str(path) for path in paths if path.name == repeated[0])
        raise ScoreError(f"{same}: rows are told by the file's name, and these have the same; rename or leave out one")
    found = {path.name: load_reference(path) for path in paths}
    for name, reference in found.items():
        if len(reference.mean) != InceptionExtractor.feature_dim:
            raise ScoreError(
                f"{name} has moments of {len(reference.mean)} features; Inception has {InceptionExtractor.feature_dim}"
            )
        if reference.image_size not in (None, samples.shape[1:3]):
            raise ScoreError(
                f"{name} is of images of {reference.image_size[0]} x {reference.image_size[1]} pixels, the samples "
                f"have {samples.shape[1]} x {samples.shape[2]}; name the reference of this size"
            )
    return found
