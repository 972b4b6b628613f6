"""What this machine can do at best: the fastest matrix product and convolution, by any library that torch can call.

A share of one library's rate would flatter work that runs in that library, and hide that another one is faster.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import PRECISIONS, Work, timings

Kind = Literal["product", "convolution"]
Way = Callable[[], Work]
"""Packs weights, where a library wants that, and gives what is timed; refuses where this processor cannot do it."""

PRODUCT_SIDES = {"cpu": 2048, "cuda": 8192}
"""Of square matrices that are large enough for the highest rate."""
IMAGES, CHANNELS, SIDES = 8, 256, {"cpu": 64, "cuda": 128}
"""Of a convolution of 3 x 3 pixels, as the VQGAN's decoder has them."""
QUICK = 16
"""Side and channels of `--quick`, which shows that everything runs: bf16 without its instructions takes minutes."""


@dataclass(frozen=True)
class Candidate:
    """A library's way to one kind of work."""

    kind: Kind
    precision: str
    library: str
    tflops: float | None
    """Best rate seen, in 10^12 operations per second; None: it cannot do this here."""
    why_not: str = ""


class Limits(NamedTuple):
    """The best rates of one precision, in 10^12 operations per second."""

    product: float
    convolution: float


class Operations(NamedTuple):
    """Multiplications and additions of a call, counted separately."""

    products: int
    convolutions: int

    def seconds(self, limits: Limits) -> float:
        """What they take at best."""
        return (self.products / limits.product + self.convolutions / limits.convolution) / 1e12


def candidates(device: torch.device, precision: str, *, quick: bool = False) -> list[Candidate]:
    """Every way to both kinds of work, measured."""
    side = QUICK if quick else PRODUCT_SIDES[device.type]
    images, channels, pixels = (1, QUICK, QUICK) if quick else (IMAGES, CHANNELS, SIDES[device.type])
    dtype, seconds = PRECISIONS[precision], 0.0 if quick else 0.5
    with torch.no_grad():
        left, right = torch.randn(2, side, side, device=device, dtype=dtype).unbind(0)
        ways: list[tuple[Kind, int, str, Way]] = [("product", 2 * side**3, *way) for way in _products(left, right)]
        image = torch.randn(images, channels, pixels, pixels, device=device, dtype=dtype)
        weight = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
        operations = 2 * 9 * channels**2 * pixels**2 * images
        ways += [("convolution", operations, *way) for way in _convolutions(image, weight)]
        return [
            _measured(kind, precision, library, operations, way, seconds) for kind, operations, library, way in ways
        ]


def best(found: list[Candidate]) -> Limits:
    """The highest rate of each kind."""

    def highest(kind: Kind) -> float:
        return max(one.tflops for one in found if one.kind == kind and one.tflops is not None)

    return Limits(highest("product"), highest("convolution"))


def as_rows(found: list[Candidate]) -> list[dict[str, Any]]:
    """Plain data, rates with digits that mean something."""
    return [asdict(one) | {"tflops": one.tflops and float(f"{one.tflops:.4g}")} for one in found]


def operations(work: Work) -> Operations:
    """Operations of a call, backward passes inside it included; attention counts as products."""
    with FlopCounterMode(display=False) as counter:
        work()
    counts = counter.get_flop_counts().get("Global", {})
    convolutions = sum(number for operation, number in counts.items() if "convolution" in str(operation))
    return Operations(int(sum(counts.values()) - convolutions), int(convolutions))


def _measured(kind: Kind, precision: str, library: str, operations: int, way: Way, seconds: float) -> Candidate:
    try:
        work = way()
        work()
    except (RuntimeError, AttributeError, TypeError) as problem:  # an operation that this build or processor lacks
        return Candidate(kind, precision, library, None, str(problem).splitlines()[0])
    return Candidate(kind, precision, library, operations / min(timings(work, 10, seconds)) / 1e12)


def _products(left: Tensor, right: Tensor) -> Iterator[tuple[str, Way]]:
    """Products of ``left`` and ``right`` (side, side)."""
    yield "torch.mm", lambda: lambda: left @ right
    if left.device.type != "cpu":
        return
    yield "oneDNN", lambda: lambda: _onednn_product(left, right)
    yield "oneDNN, packed", lambda: _packed_product(left, right)
    if left.dtype is torch.float32:
        yield "numpy", lambda: functools.partial(np.matmul, left.numpy(), right.numpy())


def _onednn_product(left: Tensor, right: Tensor) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")
    return product


def _packed_product(left: Tensor, right: Tensor) -> Work:
    packed = torch.ops.mkldnn._reorder_linear_weight(right, len(left))
    return lambda: _onednn_product(left, packed)


def _convolutions(image: Tensor, weight: Tensor) -> Iterator[tuple[str, Way]]:
    """Convolutions of ``image`` (N, C, H, W) with ``weight`` (C, C, 3, 3), padded."""
    last = torch.channels_last
    image_last, weight_last = image.to(memory_format=last), weight.to(memory_format=last)
    yield "torch", lambda: lambda: torch.conv2d(image, weight, padding=1)
    yield "torch, channels last", lambda: lambda: torch.conv2d(image_last, weight_last, padding=1)
    if image.device.type == "cpu":
        yield "oneDNN, packed, channels last", lambda: _packed_convolution(image_last, weight)


def _packed_convolution(image: Tensor, weight: Tensor) -> Work:
    ones, shape = [1, 1], list(image.shape)
    packed = torch.ops.mkldnn._reorder_convolution_weight(weight, ones, ones, ones, 1, shape)
    convolve = torch.ops.mkldnn._convolution_pointwise
    return lambda: convolve(image, packed, None, ones, ones, ones, 1, "none", [], "")
