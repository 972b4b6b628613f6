"""What a tokenizer costs: operations of either way, which no device changes, and the speed and memory of one device."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from titok.config.throughput import Throughput
from titok.data.transforms import from_uint8, to_uint8
from titok.evaluation.throughput import COVERAGE, Speed
from titok.models.flops import abstractly, count
from titok.models.image_tokenizer import Ids, ImageTokenizer
from titok.records.record import Interval
from titok.runtime.peak_memory import peak_memory
from titok.runtime.seed import generator

Code = Any
"""`Ids`, or latents (B, K, E) where there are no ids."""


class Operations(NamedTuple):
    """Of one image, multiplications and additions counted separately."""

    encode: int
    decode: int


def encoded(model: ImageTokenizer, images: Tensor) -> Code:
    """Images (B, 3, H, W) in [0, 1] to what is stored of them."""
    return model.tokenize(images) if model.facts.is_discrete else model.posterior(images).mean


def decoded(model: ImageTokenizer, code: Code) -> Tensor:
    """What was stored of images to pixels (B, 3, H, W), not clamped."""
    return model.detokenize(code) if model.facts.is_discrete else model.decode(code)


def coding_operations(model: ImageTokenizer, side: int) -> Operations:
    """Counted on shapes alone, of an image of ``side`` pixels and, where lengths differ, of the most ids."""
    with abstractly(), torch.no_grad():
        shapes = type(model)(model.config)
        shapes.eval()
        found: list[Code] = []
        encode = count(lambda: found.append(encoded(shapes, torch.empty(1, 3, side, side))))
        decode = count(lambda: decoded(shapes, found[0]))
    return Operations(encode, decode)


class Measured(NamedTuple):
    """Of one device, in one sitting."""

    encode: Speed
    decode: Speed
    width: int | None
    """E of soft tokens; None where there are ids."""
    memory: tuple[int, str] | None
    """Most bytes that encoding and decoding a batch add to the weights, and how they were counted."""


def measure_coding(model: ImageTokenizer, side: int, settings: Throughput, device: torch.device) -> Measured:
    """Times whole batches of noise: 8-bit images on the host to codes on the host, and back.

    Batches before the clock starts are those of the warm-up; memory is that of the very first.
    """
    shape = (settings.batch_size, side, side, 3)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator(0, "costs"))

    def encode() -> Code:
        return _on_host(encoded(model, from_uint8(pixels.to(device).permute(0, 3, 1, 2).contiguous())))

    def decode(code: Code) -> Tensor:
        return to_uint8(decoded(model, code.to(device)), "round").cpu()

    codes: list[Code] = []
    memory = peak_memory(lambda: codes.append(_both(encode, decode)), device)
    width = None if isinstance(codes[0], Ids) else codes[0].shape[-1]
    return Measured(_speed(encode, settings), _speed(partial(decode, codes[0]), settings), width, memory)


def _both(encode: Callable[[], Code], decode: Callable[[Code], Tensor]) -> Code:
    code = encode()
    decode(code)
    return code


def _on_host(code: Code) -> Code:
    return code.to("cpu") if isinstance(code, Ids) else code.cpu()


def _speed(work: Callable[[], object], settings: Throughput) -> Speed:
    """Images per second; results are on the host, so that nothing runs on when the clock is read."""
    for _ in range(settings.warmup_batches):
        work()
    rates = []
    for _ in range(settings.batches):
        start = time.perf_counter()
        work()
        rates.append(settings.batch_size / (time.perf_counter() - start))
    low, median, high = np.quantile(rates, [(1 - COVERAGE) / 2, 0.5, (1 + COVERAGE) / 2])
    return Speed(float(median), Interval(float(low), float(high), COVERAGE))
