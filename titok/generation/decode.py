"""The one MaskGIT decoding loop (paper section 3.3, specification 5).

1. All K positions are masked.
2. The generator predicts every position, guided by the class; logits are divided by the step's softmax temperature.
3. Each masked position takes the best token of logits + T * Gumbel noise.
4. Its confidence is the chosen token's logit plus T times a second Gumbel draw. The least confident positions are
   masked again, as many as the mask schedule says; tokens revealed in earlier steps stay.
5. Repeat from 2; the last step is greedy and keeps everything.

MaskGIT's own rule differs in two places: T of point 3 is 1 at every step (`token_temperature`), and the confidence is a
log-probability (`confidence`).

How many positions stay masked is fixed before the loop. The released code takes it from sample 0 and re-masks all
confidences up to a cut; the two differ only where float32 confidences tie exactly, where this loop keeps the count.

Samples of lengths of their own are decoded side by side: each has the counts of its own K, and what comes after its
tokens is never looked at, never masked and never revealed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from titok.config.sampling import Sampler
from titok.generation.guidance import TokenGenerator, guided_logits
from titok.generation.noise import NoiseKind, NoiseStream, gumbel
from titok.generation.schedule import DecodingStep, counts_by_length, decoding_steps
from titok.models.token_space import own_tokens
from titok.runtime.search import argmax

Trace = Callable[[int, Tensor], None]
"""Called as trace(step, tokens) with the tokens (B, K) entering the step, and once more with those of the result."""


@torch.no_grad()
def decode_tokens(
    generator: TokenGenerator,
    labels: Tensor,
    sampler: Sampler,
    noise: NoiseStream,
    sample_indices: Tensor | None = None,
    trace: Trace | None = None,
    lengths: Tensor | None = None,
) -> Tensor:
    """Tokens (B, K) int64 of the classes ``labels`` (B,), on their device.

    ``sample_indices`` (B,) say which samples of the noise stream these are (default: 0..B-1). The caller puts the
    generator into eval mode and chooses autocast; logits are compared in float32 in any case. Of samples with
    ``lengths`` (B,) the rest is 0 and means nothing.
    """
    steps = decoding_steps(generator.num_tokens, sampler)
    if sample_indices is None:
        sample_indices = torch.arange(len(labels), device=labels.device)
    samples = _Samples(labels, sample_indices, lengths)
    tokens = labels.new_full((len(labels), generator.num_tokens), generator.token_space.mask_id)
    counts: Sequence[Tensor | None] = [None] * len(steps)
    if lengths is not None:
        tokens = tokens * own_tokens(lengths, generator.num_tokens)
        counts = counts_by_length(generator.num_tokens, sampler).to(lengths.device)[lengths].unbind(dim=1)
    for index, step in enumerate(steps):
        if trace is not None:
            trace(index, tokens)
        tokens = _decoding_step(generator, tokens, samples, index, step, noise, counts[index])
    if trace is not None:
        trace(len(steps), tokens)
    return tokens


class _Samples(NamedTuple):
    """What is made, side by side: each (B,)."""

    labels: Tensor
    indices: Tensor
    lengths: Tensor | None


def _decoding_step(
    generator: TokenGenerator,
    tokens: Tensor,
    samples: _Samples,
    index: int,
    step: DecodingStep,
    noise: NoiseStream,
    masked_after: Tensor | None,
) -> Tensor:
    """Tokens (B, K) after one step: revealed where they were masked, except for those masked again.

    ``masked_after`` (B,): how many of each sample's, where they have lengths.
    """
    mask_id = generator.token_space.mask_id
    masked = tokens == mask_id
    logits = guided_logits(generator, tokens, samples.labels, step.guidance_scale, samples.lengths)
    logits = logits / step.softmax_temperature

    def add_noise(values: Tensor, temperature: float, kind: NoiseKind) -> Tensor:
        if temperature == 0:
            return values
        uniform = noise.uniform(samples.indices, index, kind, tuple(values.shape[1:]))
        return values + temperature * gumbel(uniform)

    chosen = argmax(add_noise(logits, step.token_temperature, NoiseKind.TOKEN))
    revealed = torch.where(masked, chosen, tokens)
    if step.num_masked_after == 0:
        return revealed
    # TiTok's confidence is the raw logit, and the published samplers were tuned to it.
    scores = logits.log_softmax(dim=-1) if step.confidence == "log_prob" else logits
    confidence = scores.gather(-1, chosen[..., None])[..., 0]
    confidence = add_noise(confidence, step.choice_temperature, NoiseKind.CONFIDENCE).masked_fill(~masked, torch.inf)
    least_confident = confidence.argsort(dim=-1, stable=True)
    if masked_after is None:
        return revealed.scatter(1, least_confident[:, : step.num_masked_after], mask_id)
    again = torch.zeros_like(masked).scatter(1, least_confident, own_tokens(masked_after, tokens.shape[1]))
    return revealed.masked_fill(again, mask_id)
