"""Encode, decode, and generate with decoding included, at published sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

from benchmarks.measure import Case
from benchmarks.models import Variant
from benchmarks.timing import Work
from titok.config.training import Compute
from titok.generation.decode import decode_tokens
from titok.generation.noise import CounterNoise
from titok.models.generator import build_generator
from titok.models.image_tokenizer import Ids
from titok.models.tokenizer import TiTok
from titok.training.speed import prepare_modules

Model = TypeVar("Model", bound=nn.Module)
AS_IT_IS = Compute()


def ready(model: Model, device: torch.device, compute: Compute = AS_IT_IS) -> Model:
    """On the device, in eval mode, without gradients; compiled where ``compute`` says so."""
    prepare_modules(model, compute)
    return model.to(device).eval().requires_grad_(False)


def cases(
    name: str,
    variant: Variant,
    device: torch.device,
    batch: int,
    precisions: list[str],
    steps: int | None,
    compute: Compute = AS_IT_IS,
) -> Iterator[Case]:
    """``steps`` replaces the sampler's own number of steps, ``compute`` says whether models are compiled."""
    told = f"{variant.generator.kind} {name} generate, {steps or variant.sampler.num_steps} steps"
    for precision in precisions:
        yield Case(f"TiTok {name} encode", "images", batch, lambda: encode(variant, device, batch, compute), precision)
        yield Case(f"TiTok {name} decode", "images", batch, lambda: decode(variant, device, batch, compute), precision)
    for precision in precisions:
        for what, decoded in (("tokens only", False), ("with decode", True)):
            yield Case(
                f"{told}, {what}",
                "samples",
                batch,
                lambda decoded=decoded: generate(  # type: ignore[misc]
                    variant, device, batch, steps, decoded=decoded, compute=compute
                ),
                precision,
            )


def encode(variant: Variant, device: torch.device, batch: int, compute: Compute = AS_IT_IS) -> Work:
    """Images to tokens."""
    tokenizer = ready(TiTok(variant.tokenizer), device, compute)
    side = variant.tokenizer.image_size
    images = torch.rand(batch, 3, side, side, device=device)
    return lambda: tokenizer.tokenize(images)


def decode(variant: Variant, device: torch.device, batch: int, compute: Compute = AS_IT_IS) -> Work:
    """Tokens to images."""
    tokenizer = ready(TiTok(variant.tokenizer), device, compute)
    size = (batch, variant.tokenizer.num_latent_tokens)
    tokens = torch.randint(variant.tokenizer.codebook_size, size, device=device)
    return lambda: tokenizer.detokenize(Ids(tokens))


def generate(
    variant: Variant,
    device: torch.device,
    batch: int,
    steps: int | None,
    *,
    decoded: bool = False,
    guidance_schedule: str | None = None,
    compute: Compute = AS_IT_IS,
) -> Work:
    """Classes to tokens, or to images."""
    generator = ready(build_generator(variant.generator), device, compute)
    tokenizer = ready(TiTok(variant.tokenizer), device, compute) if decoded else None
    changes = {"num_steps": steps, "guidance_schedule": guidance_schedule}
    sampler = variant.sampler.model_copy(update={key: value for key, value in changes.items() if value is not None})
    labels = torch.arange(batch, device=device) % variant.generator.num_classes

    def work() -> Tensor:
        tokens = decode_tokens(generator, labels, sampler, CounterNoise(0), labels)
        return tokens if tokenizer is None else tokenizer.detokenize(Ids(tokens))

    return work
