"""Frechet distance and KID in the features of other networks than the extractor, from the same pass."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from titok.config.evaluation import Evaluation
from titok.errors import ScoreError
from titok.evaluation.findings import Finding, rank_findings
from titok.evaluation.looking import Look, Looking
from titok.evaluation.neighbours import evenly_spaced
from titok.evaluation.reference import Reference
from titok.evaluation.uncertainty import Side, frechet_contributions
from titok.metrics.features import FeatureExtractor
from titok.metrics.kid import kernel_distance


class EncoderPass:
    """What the study's encoders see of images, and of the real ones they are compared with.

    Args:
        encoders: by the study's names, on ``device``; none: nothing is looked at, stored or reported.
        settings: the study's protocol: labels, KID, intervals.
        scratch: folder for the features while this lives; null: the system's.
        device: where sums are kept.
        references: of each encoder, for samples; reconstructions come with their originals instead.
    """

    def __init__(
        self,
        encoders: Mapping[str, FeatureExtractor],
        settings: Evaluation,
        scratch: Path | None = None,
        device: torch.device | str = "cpu",
        references: Mapping[str, Reference] | None = None,
    ) -> None:
        self._settings = settings
        self._seen = {
            name: _Seen(one, scratch, device, (references or {}).get(name), _one_of(settings, name))
            for name, one in encoders.items()
        }

    def update(self, images: Tensor, originals: Tensor | None = None) -> None:
        """Looks at uint8 images (B, 3, H, W) and, of reconstructions, at what they were made from."""
        for seen in self._seen.values():
            seen.update(images, originals)

    def findings(self, what: str) -> list[Finding]:
        """Encoders with as many features as there are images, or more."""
        return [found for name, seen in self._seen.items() for found in seen.findings(f"{what} of encoder {name}")]

    def metrics(self) -> dict[str, float]:
        """``fd_NAME`` of every encoder and, where KID is asked for, ``kid_NAME``."""
        found: dict[str, float] = {}
        for name, seen in self._seen.items():
            found[f"fd_{name}"] = seen.sides[0].distance(seen.sides[1])
            if self._settings.kid is not None:
                kid = self._settings.kid
                real = seen.references(self._settings.precision_recall_references)
                fake = seen.made.features.rows(device=real.device)
                found[f"kid_{name}"] = kernel_distance(fake, real, kid.subsets, kid.subset_size, kid.seed).value
        return found

    def contributions(self) -> dict[str, Tensor]:
        """(N,) float64 of every Frechet distance: what each image adds to it."""
        return {f"fd_{name}": frechet_contributions(*seen.sides) for name, seen in self._seen.items()}

    def protocol(self) -> dict[str, Any]:
        """Which networks, by which weights and preprocessing; nothing where there are none."""
        labels = {name: encoder.label for name, encoder in self._settings.encoders.items()}
        about = {name: {"label": labels[name], **seen.about()} for name, seen in self._seen.items()}
        return {"encoders": about} if about else {}


class _Seen:
    """One encoder's two sets."""

    def __init__(
        self,
        encoder: FeatureExtractor,
        scratch: Path | None,
        device: torch.device | str,
        reference: Reference | None,
        one_of: int,
    ) -> None:
        self._encoder, self._device, self._reference = encoder, device, reference
        self._one_of, self._passed = one_of, 0
        self._made = Looking(encoder, scratch=scratch, device=device)
        self._originals = None if reference else Looking(encoder, scratch=scratch, device=device)

    def update(self, images: Tensor, originals: Tensor | None) -> None:
        places = torch.from_numpy(looked_at(self._passed, self._passed + len(images), self._one_of) - self._passed)
        self._passed += len(images)
        if not len(places):
            return
        self._made.update(images if self._one_of == 1 else images[places.to(images.device)])
        if self._originals is not None and originals is not None:
            self._originals.update(originals if self._one_of == 1 else originals[places.to(originals.device)])

    def findings(self, what: str) -> list[Finding]:
        return rank_findings(self._made.count, self._encoder.feature_dim, what)

    @functools.cached_property
    def made(self) -> Look:
        """Read, like what follows, once all images have been looked at."""
        return self._made.look()

    @functools.cached_property
    def real(self) -> Look | Reference:
        """The originals of reconstructions, or what samples are compared with."""
        return self._reference or cast(Looking, self._originals).look()

    @functools.cached_property
    def sides(self) -> tuple[Side, Side]:
        if isinstance(self.real, Reference):
            return self.made.side, self.real.sides(self._device)[0]
        return self.real.side, self.made.side

    def references(self, wanted: int) -> Tensor:
        """(M, F) features of at most ``wanted`` real images, evenly spaced over them."""
        if isinstance(self.real, Look):
            features = self.real.features
            return features.rows(evenly_spaced(wanted, len(features)), self._device)
        if self.real.features is None:
            raise ScoreError("KID needs features of real images, the reference has none; collect it anew")
        return self.real.features.to(self._device)

    def about(self) -> dict[str, Any]:
        own = self._encoder.identity | ({"one_of": self._one_of} if self._one_of > 1 else {})
        if self._reference is None:
            return own
        return own | {"reference": self._reference.source | {"num_images": self._reference.count}}


def looked_at(first: int, end: int, one_of: int) -> np.ndarray:
    """Places from ``first`` to ``end`` (not in it) that are looked at: one in each run of ``one_of``, drawn there.

    A fixed place in each run would meet the same classes again and again where images come in an order of classes.
    """
    if one_of == 1:
        return np.arange(first, end)
    runs = range(first // one_of, -(-end // one_of))
    places = np.array([run * one_of + np.random.default_rng((one_of, run)).integers(one_of) for run in runs])
    return places[(places >= first) & (places < end)].astype(np.int64)


def _one_of(settings: Evaluation, name: str) -> int:
    return settings.encoders[name].one_of if name in settings.encoders else 1
