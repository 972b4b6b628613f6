"""The same images scored in many ways, one change at a time: which of them would give somebody's number?"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from titok.config.protocols import PROTOCOLS
from titok.evaluation.alterations import Alteration, jpeg, rounded_otherwise, swapped_channels, unaltered
from titok.evaluation.looking import Look, look
from titok.evaluation.mistakes import Step
from titok.evaluation.reference import Reference
from titok.evaluation.samples import Samples
from titok.evaluation.uncertainty import Side, frechet_contributions
from titok.metrics.extrapolation import Extrapolation, ExtrapolationError, extrapolate, subset_sizes
from titok.metrics.features import FeatureExtractor
from titok.metrics.inception_score import InceptionScore
from titok.runtime.seed import generator

Network = Literal["tensorflow1", "clean"]
Rule = Literal["official", "adm", "bilinear", "uncropped"]
SMALLER = (10_000, 5_000)
"""Numbers of images that people take instead of 50,000."""
LINE_POINTS = 5


class Originals(Protocol):
    """The real images that reconstructions were made from."""

    rules: tuple[Rule, ...]
    """The ways in which they can be prepared; the first is the official one."""

    def __len__(self) -> int: ...

    def batches(self, rule: Rule) -> Iterator[Tensor]:
        """uint8 (B, 3, H, W), in order; B is 1 where sizes differ."""
        ...


@dataclass(frozen=True)
class Row:
    """One way to score."""

    name: str
    step: Step | None
    """What it changes of the first row; null: nothing."""
    metrics: dict[str, float]
    """`fid`, `sfid`, `inception_score`; what a change cannot touch is left out."""


@dataclass
class Waterfall:
    """Scores on demand; each pass over images is made once.

    Args:
        samples: the images to judge.
        written: how their pixels became 8-bit.
        originals: what reconstructions are compared with; null for generated images.
        references: reference files by name, made with TensorFlow 1's resize.
        network: the extractor with a resize of its input.
        batch_size: of the samples.
        scratch: folder for features; null: the system's.
        device: where to work.
    """

    samples: Samples
    written: Literal["round", "truncate"]
    originals: Originals | None
    references: Mapping[str, Reference]
    network: Callable[[Network], FeatureExtractor]
    batch_size: int = 64
    split_size: int = 5000
    scratch: Path | None = None
    device: torch.device | str = "cpu"
    notes: list[str] = field(default_factory=list)
    """What could not be tried, and why."""

    def __post_init__(self) -> None:
        self.network = functools.cache(self.network)
        self._samples_seen = functools.cache(self._look_at_samples)
        self._originals_seen = functools.cache(self._look_at_originals)
        self._measured = functools.cache(self._measure)
        self._reference_sides = functools.cache(lambda name: self.references[name].sides(self.device))
        self._other_rounding = rounded_otherwise(self.written)

    def rows(self, steps: Sequence[Step]) -> list[Row]:
        """The official way first, then one row per change that ``steps`` names and these images allow."""
        ways: dict[Step, Callable[[], Iterator[Row]]] = {
            "reference": self._references,
            "crop": self._crops,
            "rounding": lambda: self._altered("rounding", {"other rounding": self._other_rounding}),
            "resize": self._resizes,
            "file": lambda: self._altered("file", {"saved as JPEG": jpeg, "swapped colours": swapped_channels}),
            "size": self._sizes,
            "splits": self._splits,
        }
        return [Row("official", None, self._score()), *(row for step in steps for row in ways[step]())]

    def protocols(self) -> list[Row]:
        """What the named protocols give, as far as these images and references allow; arithmetic as it is here."""
        rows = []
        for name, protocol in PROTOCOLS.items():
            rule, network = protocol.dataset["resize_rule"], protocol.evaluation["extractor"]["resize"]
            if self.originals is not None:
                same = protocol.evaluation["rounding"] == self.written
                if rule in self.originals.rules:
                    alteration = unaltered if same else self._other_rounding
                    rows.append(Row(name, None, self._score(alteration, rule, network=network)))
            elif network == "tensorflow1" and protocol.samples_against == "reference file":
                rows += [Row(f"{name}: {known}", None, self._score(reference=known)) for known in self.references]
        return rows

    def line(self) -> Extrapolation | None:
        """How the official distance depends on the number of images; None if they are too few."""
        seen, real = self._samples_seen(unaltered, "tensorflow1"), self._real()[0]
        try:
            sizes = subset_sizes(len(seen.features), len(seen.side.mean), LINE_POINTS)
        except ExtrapolationError as error:
            self.notes.append(f"size: {error}")
            return None
        distance_of = functools.partial(_subset_distance, seen.side, _beside(seen.side, real))
        return extrapolate(distance_of, len(seen.features), sizes, generator(0, "line"))

    def line_error(self, line: Extrapolation) -> float:
        """Standard error of that line's distance at infinite N."""
        seen = self._samples_seen(unaltered, "tensorflow1").side
        return line.error(frechet_contributions(seen, _beside(seen, self._real()[0])))

    def _references(self) -> Iterator[Row]:
        for name in list(self.references)[0 if self.originals is not None else 1 :]:
            yield Row(f"another reference: {name}", "reference", _distances(self._score(reference=name)))

    def _crops(self) -> Iterator[Row]:
        names: dict[Rule, str] = {
            "uncropped": "uncropped reference",
            "adm": "adm crop",
            "bilinear": "bilinear resize of the reference",
        }
        allowed = () if self.originals is None else self.originals.rules
        for rule, name in names.items():
            if rule in allowed:
                yield Row(name, "crop", _distances(self._score(rule=rule)))
        if len(allowed) < 2:
            self.notes.append("crop: needs the originals as they were before any crop (an index of shards)")

    def _resizes(self) -> Iterator[Row]:
        if self.originals is None:
            self.notes.append("resize: reference files were made with one resize; the other needs the originals")
        else:
            yield Row("clean-fid resize", "resize", self._score(network="clean"))

    def _altered(self, step: Step, alterations: Mapping[str, Alteration]) -> Iterator[Row]:
        for name, alteration in alterations.items():
            yield Row(name, step, self._score(alteration))

    def _sizes(self) -> Iterator[Row]:
        seen, real = self._samples_seen(unaltered, "tensorflow1"), self._real()[0]
        count = len(seen.features)
        for size in SMALLER:
            if size < count:
                drawn = torch.randperm(count, generator=generator(0, "size", size))[:size].sort().values.numpy()
                yield Row(f"too few images: {size}", "size", {"fid": _subset_distance(seen.side, real, drawn)})

    def _splits(self) -> Iterator[Row]:
        logits = self._samples_seen(unaltered, "tensorflow1").logits.rows(device=self.device)
        orders = {
            "splits in file order (ADM)": np.arange(len(logits)),
            "shuffled splits": torch.randperm(len(logits), generator=generator(0, "splits")).numpy(),
        }
        if self.samples.labels is not None:
            orders["splits sorted by class"] = np.argsort(self.samples.labels, kind="stable")
        for name, order in orders.items():
            score = InceptionScore(logits.shape[1], split_size=self.split_size, device=self.device)
            score.update(logits[torch.from_numpy(order).to(logits.device)])
            yield Row(name, "splits", {"inception_score": score.compute()})

    def _score(
        self,
        alteration: Alteration = unaltered,
        rule: Rule = "official",
        reference: str | None = None,
        network: Network = "tensorflow1",
    ) -> dict[str, float]:
        """All metrics of the samples, altered, against the originals or a reference."""
        return self._measured(alteration, rule, reference, network)

    def _measure(self, alteration: Alteration, rule: Rule, reference: str | None, network: Network) -> dict[str, float]:
        seen = self._samples_seen(alteration, network)
        real, spatial = self._real(rule, reference, network)
        metrics = {"fid": seen.side.distance(real), "inception_score": seen.inception.compute()}
        if seen.spatial is not None and spatial is not None:
            metrics["sfid"] = seen.spatial.distance(spatial)
        return metrics

    def _real(
        self, rule: Rule = "official", reference: str | None = None, network: Network = "tensorflow1"
    ) -> tuple[Side, Side | None]:
        """The originals, or a reference where one is named or there are no originals."""
        if reference is None and self.originals is not None:
            seen = self._originals_seen(rule, network)
            return seen.side, seen.spatial
        return self._reference_sides(reference or next(iter(self.references)))

    def _look_at_samples(self, alteration: Alteration, network: Network) -> Look:
        def batches() -> Iterator[Tensor]:
            first = 0
            for batch in self.samples.batches(self.batch_size):
                yield torch.from_numpy(alteration(batch, first)).permute(0, 3, 1, 2)
                first += len(batch)

        return self._look(batches(), network)

    def _look_at_originals(self, rule: Rule, network: Network) -> Look:
        return self._look(iter(()) if self.originals is None else self.originals.batches(rule), network)

    def _look(self, batches: Iterator[Tensor], network: Network) -> Look:
        return look(batches, self.network(network), scratch=self.scratch, device=self.device)


def _distances(metrics: Mapping[str, float]) -> dict[str, float]:
    """What another set of real images can change."""
    return {name: value for name, value in metrics.items() if name != "inception_score"}


def _beside(seen: Side, real: Side) -> Side:
    """The real images as they go with the samples: in pairs where there are as many, else as they are."""
    is_paired = real.store is not None and seen.store is not None and len(real.store) == len(seen.store)
    return real if is_paired else replace(real, store=None)


def _subset_distance(seen: Side, real: Side, places: np.ndarray) -> float:
    """Of some of the samples only."""
    return seen.subset(places).distance(real.subset(places))
