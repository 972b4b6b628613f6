"""How the pixels of another decoder differ from Pillow's, on a sample of a split.

Units: grey levels, of 255.
"""

from __future__ import annotations

import functools
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import torch

from titok.config.training import Decoder
from titok.data.decoders import WINDOWS
from titok.data.loading import batches_of, in_order
from titok.data.order import permutation
from titok.data.streamed import StreamedSet
from titok.data.transforms import centre_of
from titok.errors import MachineError

LARGEST_MEAN = 0.1
"""Mean absolute difference of an image beyond which training refuses a decoder."""
SAMPLE = 64
"""Images that are compared when a training starts."""


class Differences(NamedTuple):
    """Images prepared by both decoders, each field a number per image: of one image or, stacked, of several."""

    largest: torch.Tensor
    mean: torch.Tensor
    """Of the absolute difference."""
    bias: torch.Tensor
    """Mean of the difference, other minus Pillow."""
    equal: torch.Tensor
    """Share of values that are equal."""


def compare_decoders(images: StreamedSet, crop: int, decoder: Decoder, num_images: int) -> dict[str, Any]:
    """Differences over the centre crops of ``num_images`` images, chosen at random, always the same ones."""
    chosen = np.sort(permutation(len(images), 0, 0)[:num_images]).tolist()
    read = functools.partial(_differences, images, crop, decoder)
    parts = in_order(read, batches_of(chosen, 16), workers=images.workers, name=images.reader.name)
    found = Differences(*(torch.cat(values) for values in zip(*parts, strict=True)))
    worst = int(found.mean.argmax())
    return {
        "decoder": decoder,
        "reference": "pillow",
        "versions": {name: version(name) for name in ("pillow", "torch", "torchvision")},
        "dataset_sha256": images.fingerprint,
        "resize": images.resize,
        "crop": crop,
        "num_images": len(chosen),
        "largest_difference": float(found.largest.max()),
        "mean_absolute_difference": float(found.mean.mean()),
        "mean_difference": float(found.bias.mean()),
        "share_of_equal_values": float(found.equal.mean()),
        "worst_image": images.reader.name(chosen[worst]),
        "worst_mean_absolute_difference": float(found.mean[worst]),
        "allowed_mean_absolute_difference": LARGEST_MEAN,
    }


def check_decoder(images: StreamedSet, crop: int, decoder: Decoder) -> None:
    """Compares a few images; raises ``MachineError`` when one differs by more than ``LARGEST_MEAN`` on average."""
    report = compare_decoders(images, crop, decoder, SAMPLE)
    found = report["worst_mean_absolute_difference"]
    if found > LARGEST_MEAN:
        raise MachineError(
            f"decoder {decoder!r} differs from Pillow by {found:.2f} grey levels on average in "
            f"{report['worst_image']}; allowed: {LARGEST_MEAN}. Set training.decoder: pillow; `titok parity` says more"
        )


def _differences(images: StreamedSet, crop: int, decoder: Decoder, index: int) -> Differences:
    where = centre_of(*images.resized_size(index), crop)
    pillow, other = (images.window(index, crop, where, WINDOWS[name]).double() for name in ("pillow", decoder))
    difference = other - pillow
    absolute = difference.abs()
    return Differences(absolute.max(), absolute.mean(), difference.mean(), (absolute == 0).double().mean())
