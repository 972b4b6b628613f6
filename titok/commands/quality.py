"""Tokens of the length that each image needs, for files of tokens."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F

from titok.commands.lpips_score import open_lpips
from titok.config.adaptive_length import LengthRule, TokenLengths
from titok.config.evaluation import Lpips
from titok.config.weight_files import WeightFile
from titok.data.rows.extraction import Encode
from titok.data.transforms import from_uint8
from titok.errors import TokenError
from titok.evaluation.length_criteria import criterion_of
from titok.models.image_tokenizer import Ids, ImageTokenizer
from titok.models.length_choice import Chosen, Criterion, choose_lengths

Coder = Callable[[Tensor], Ids]
"""Images to ids or, in their place, to the means (B, K, E) of continuous latents."""


@contextmanager
def coder(options: argparse.Namespace, model: ImageTokenizer, device: torch.device) -> Iterator[Coder]:
    """The coder that ``options.quality`` asks for: each image gets the length it needs; without, the longest.

    Says at the end, on standard error, how many images no length was good enough for.

    Raises:
        TokenError: the tokenizer has one length, or no codebook; or LPIPS is asked for without its weights.
    """
    if options.quality is not None:
        met: list[Tensor] = []
        yield _coder_of_quality(options, model, device, met)
        missed = sum(int((~batch).sum()) for batch in met)
        if missed:
            count = sum(map(len, met))
            print(
                f"{missed} of {count} images have no length with {options.quality.measure} as asked "
                f"({options.quality.threshold:g}); they got the length that came nearest",
                file=sys.stderr,
            )
        return
    if options.lpips is not None:
        raise TokenError("--lpips is given, but no --quality lpips=...; give both or neither")
    yield model.tokenize if model.facts.is_discrete else lambda images: Ids(model.posterior(images).mean)


def _coder_of_quality(
    options: argparse.Namespace, model: ImageTokenizer, device: torch.device, met: list[Tensor]
) -> Coder:
    """Adds to ``met`` whether each image's code is good enough."""
    measure, threshold = options.quality
    if not (model.facts.lengths and model.facts.is_discrete):
        most = model.facts.most_tokens
        held = f"one length{f', {most} tokens' if most else ''}" if model.facts.is_discrete else "no codebook"
        raise TokenError(
            f"--quality is {measure}={threshold:g}, but {options.model} has {held}; leave --quality out, or name a "
            f"tokenizer of several lengths (docs/adaptive_length.md), such as a TiTok trained with tail_drop"
        )
    if (measure == "lpips") != (options.lpips is not None):
        raise TokenError(
            f"--quality is {measure}={threshold:g} and --lpips {'missing' if options.lpips is None else 'given'}; "
            f"--quality lpips=... takes --lpips VGG16 HEADS, the files of `titok fetch vgg16` and `titok fetch "
            f"lpips_heads`, and no other does"
        )
    vgg16, heads = (WeightFile(path=str(path)) for path in options.lpips) if options.lpips else (None, None)
    weights = Lpips(vgg16=vgg16, heads=heads) if vgg16 and heads else None
    criterion = criterion_of(measure, threshold, open_lpips(weights, device))
    chosen = _chooser(model, criterion, LengthRule())

    def ids(images: Tensor) -> Ids:
        found = chosen(images)
        met.append(found.met)
        return Ids(found.values, found.lengths)

    return ids


def token_rows(model: ImageTokenizer, rule: TokenLengths | None, device: torch.device) -> Encode:
    """Windows (B, 3, S, S) uint8 to rows of tokens (B, K) on the CPU; with a rule, of K tokens, 0 after an image's own,
    and its length."""
    if rule is None:
        return lambda windows: model.tokenize(from_uint8(windows).to(device)).of_one_length().cpu()
    chosen = _chooser(model, criterion_of(rule.criterion, rule.threshold), rule)
    most = model.facts.most_tokens or 0

    def rows(windows: Tensor) -> Tensor:
        found = chosen(from_uint8(windows).to(device))
        values = F.pad(found.values, (0, most - found.values.shape[1]))
        return torch.cat([values, found.lengths[:, None]], dim=1).cpu()

    return rows


def _chooser(model: ImageTokenizer, criterion: Criterion, rule: LengthRule) -> Callable[[Tensor], Chosen]:
    lengths = rule.lengths or None
    return lambda images: choose_lengths(model, images, criterion, lengths=lengths, otherwise=rule.otherwise)
