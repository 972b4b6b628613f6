"""Two ways to the same result, timed in turns: what a design decision is worth on this machine.

Guidance   conditional and unconditional halves as one batch, against two passes per step of the same blocks
Precision  bf16 autocast, against fp32
Layout     the VQGAN's encoder in channels-last memory, against channels first
Codes      stage-1 steps from stored proxy codes, against codes computed at every step
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor

from benchmarks import inference, training
from benchmarks.models import Variant
from benchmarks.timing import Work, alternating
from titok.config.training import Training
from titok.generation import decode
from titok.generation.guidance import TokenGenerator
from titok.models.vqgan import VQGAN


class Pair(NamedTuple):
    """The way that should be slower, and the other."""

    slower: Work
    faster: Work


class Comparison(NamedTuple):
    """What is compared; models are made when it is its turn."""

    name: str
    build: Callable[[], Pair]


def comparisons(
    name: str, variant: Variant, device: torch.device, batch: int, train_batch: int, steps: int
) -> Iterator[Comparison]:
    """``steps``: sampling steps, instead of the sampler's own number."""

    def generate() -> Work:
        # Guided from the first step on, so that nothing is gained by steps without a second half.
        return inference.generate(variant, device, batch, steps, guidance_schedule="constant")

    def in_bf16(build: Callable[[], Work]) -> Callable[[], Pair]:
        return lambda: Pair(work := build(), autocast(work, device))

    yield Comparison(f"sampling {name}: guidance in one batch, against two passes", lambda: guidance(generate()))
    yield Comparison(f"sampling {name}: bf16, against fp32", in_bf16(generate))
    yield Comparison(f"encode {name}: bf16, against fp32", in_bf16(lambda: inference.encode(variant, device, batch)))
    yield Comparison(f"decode {name}: bf16, against fp32", in_bf16(lambda: inference.decode(variant, device, batch)))
    yield Comparison(
        "VQGAN encode: channels last, against channels first", lambda: memory_layout(variant, device, batch)
    )
    yield Comparison(
        f"stage1 step {name}: codes stored, against online", lambda: proxy_codes(variant, device, train_batch)
    )


def compare(comparison: Comparison, repeats: int) -> dict[str, Any]:
    """Medians of both sides in seconds and their ratio, with the ratio of every single pair."""
    slower, faster = alternating(*comparison.build(), repeats)
    ratios = [before / after for before, after in zip(slower, faster, strict=True)]
    return {
        "name": comparison.name,
        "slower_seconds": round(statistics.median(slower), 4),
        "faster_seconds": round(statistics.median(faster), 4),
        "speedup": round(statistics.median(slower) / statistics.median(faster), 3),
        "pairs": [round(ratio, 3) for ratio in ratios],
    }


def autocast(work: Work, device: torch.device) -> Work:
    """The same in bf16."""

    def run() -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            work()

    return run


def guidance(one_batch: Work) -> Pair:
    """The decoding loop with the guidance of the released code in place of ours, and as it is."""

    def two_passes() -> None:
        with mock.patch.object(decode, "guided_logits", two_pass_logits):
            one_batch()

    return Pair(two_passes, one_batch)


def two_pass_logits(
    generator: TokenGenerator, tokens: Tensor, labels: Tensor, scale: float, lengths: Tensor | None = None
) -> Tensor:
    """Guidance as the released code does it: one pass with and one without the class, of samples of one length."""
    if lengths is not None:
        raise ValueError("the released code knows one length")
    conditional = generator(tokens, labels).float()
    unconditional = generator(tokens, labels, torch.ones_like(labels, dtype=torch.bool)).float()
    return conditional + scale * (conditional - unconditional)


def memory_layout(variant: Variant, device: torch.device, batch: int) -> Pair:
    """The proxy VQGAN's tokenize in both layouts."""
    first, last = (inference.ready(VQGAN(variant.vqgan), device) for _ in range(2))
    last.to(memory_format=torch.channels_last)
    side = variant.tokenizer.image_size
    images = torch.rand(batch, 3, side, side, device=device)
    images_last = images.contiguous(memory_format=torch.channels_last)
    return Pair(lambda: first.tokenize(images), lambda: last.tokenize(images_last))


def proxy_codes(variant: Variant, device: torch.device, batch: int) -> Pair:
    """Training steps of stage 1."""
    settings = Training(batch_size=batch)
    images = training.image_batch(variant, batch)
    online, stored = (
        training.stepper(training.stage1(variant, settings), content, settings, device)
        for content in (images, training.coded_batch(variant, images))
    )
    return Pair(online, stored)
