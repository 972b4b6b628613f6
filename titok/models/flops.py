"""Floating-point operations of the models at any size, counted and not estimated; no weights are allocated.

Multiplications and additions count separately: matrix products, convolutions and attention, as torch's counter sees
them. Element-wise work is left out, as usual, and so is what fused kernels compute twice to save memory. Everything is
per image (or sample) and independent of device, precision and batch size. Models run on the meta device; of a stack of
blocks, one is run, because all cost the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from titok.config.generator_model import GeneratorModel
from titok.config.model import ClassifierModel, TokenizerModel, TransformerSize, VQGANModel
from titok.models.classifier import Classifier
from titok.models.decoder import Decoder
from titok.models.encoder import Encoder
from titok.models.generator import build_generator
from titok.models.image_tokenizer import Ids, ImageTokenizer
from titok.models.operations import Flops
from titok.models.parameters import count_parameters
from titok.models.quantizer import VectorQuantizer
from titok.models.tokenizer import PixelCodebook
from titok.models.transformer import Block
from titok.models.vqgan import VQGANDecoder, VQGANEncoder, to_grid


class _NoAutocast:
    """Stands in for `torch.autocast`, which refuses the meta device; precision changes no count."""

    def __init__(self, *arguments: object, **options: object) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *problem: object) -> None:
        pass


@contextmanager
def abstractly() -> Iterator[None]:
    """Inside, tensors and modules have shapes and no content; they can run forward and backward."""
    before: Any = torch.autocast
    torch.autocast = _NoAutocast  # type: ignore[misc, assignment]
    try:
        with torch.device("meta"):
            yield
    finally:
        torch.autocast = before  # type: ignore[misc]


def count(work: Callable[[], object]) -> int:
    """Operations of a call, backward passes inside it included."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def of_part(module: nn.Module, call: Callable[[], Tensor]) -> Flops:
    """A call of a module that gives a tensor, and its way back."""
    with FlopCounterMode(display=False) as counter:
        output = call()
        forward = int(counter.get_total_flops())
        output.sum().backward()
    parameters = count_parameters(module)
    return Flops(forward, int(counter.get_total_flops()), parameters)


@cache
def block_flops(width: int, num_heads: int, mlp_ratio: float, sequence_length: int) -> Flops:
    """One transformer block of a tokenizer, of which encoder and decoder are stacks."""
    with abstractly():
        module = Block(width, num_heads, mlp_ratio=mlp_ratio)
        tokens = torch.empty(1, sequence_length, width, requires_grad=True)
        return of_part(module, lambda: module(tokens))


def _stack_flops(size: TransformerSize, config: TokenizerModel) -> Flops:
    """All blocks of an encoder or decoder, over [class, patches, latents]."""
    sequence_length = 1 + config.grid_size**2 + config.num_learned_latents
    return block_flops(size.width, size.num_heads, size.mlp_ratio, sequence_length).times(size.depth)


@cache
def encoder_flops(config: TokenizerModel) -> Flops:
    """Image to K latents before quantisation."""
    with abstractly():
        module = Encoder(config.model_copy(update={"encoder": _without_blocks(config.encoder)}))
        images = torch.empty(1, 3, config.image_size, config.image_size)
        latents = nn.Parameter(torch.empty(config.num_learned_latents, config.encoder.width))
        given = latents if config.num_learned_latents else None
        return of_part(module, lambda: module(images, given)) + _stack_flops(config.encoder, config)


@cache
def decoder_flops(config: TokenizerModel, *, trained_before: bool = True) -> Flops:
    """K latents to proxy logits (two-stage) or to pixels (single-stage).

    ``trained_before``: whether gradients go on to what made the latents; stage 2 needs none.
    """
    with abstractly():
        module = Decoder(config.model_copy(update={"decoder": _without_blocks(config.decoder)}))
        latents = torch.empty(1, config.num_latent_tokens, config.code_dim, requires_grad=trained_before)
        return of_part(module, lambda: module(latents)) + _stack_flops(config.decoder, config)


def _without_blocks(size: TransformerSize) -> TransformerSize:
    return size.model_copy(update={"depth": 0})


@cache
def quantizer_flops(codebook_size: int, code_dim: int, num_tokens: int) -> Flops:
    """Latents to the nearest codes. Re-anchoring takes the same distances; only where several processes train does each
    one look at the latents of all, which no number here counts."""
    with abstractly():
        module = VectorQuantizer(codebook_size, code_dim)
        latents = torch.empty(1, num_tokens, code_dim, requires_grad=True)
        return of_part(module, lambda: module(latents).z_quantized)


@cache
def pixel_decoder_flops(config: VQGANModel, num_codes: int, *, is_soft: bool = True) -> Flops:
    """Proxy logits to pixels: the expected codes (``is_soft``) or the likeliest, then the VQGAN's decoder."""
    with abstractly():
        codebook = PixelCodebook(config.codebook_size, config.code_dim)
        decoder = VQGANDecoder(config)
        logits = torch.empty(1, num_codes, config.codebook_size, requires_grad=True)
        lookup = codebook.expected if is_soft else codebook.best
        both = nn.ModuleList([codebook, decoder])
        return of_part(both, lambda: decoder(to_grid(lookup(logits))))


@cache
def vqgan_encoder_flops(config: VQGANModel, image_size: int) -> Flops:
    """Image to features before quantisation."""
    with abstractly():
        module = VQGANEncoder(config)
        images = torch.empty(1, 3, image_size, image_size)
        return of_part(module, lambda: module(images))


@cache
def vqgan_decoder_flops(config: VQGANModel, image_size: int) -> Flops:
    """Code vectors to pixels."""
    side = image_size // config.downsampling
    with abstractly():
        module = VQGANDecoder(config)
        codes = torch.empty(1, config.code_dim, side, side, requires_grad=True)
        return of_part(module, lambda: module(codes))


def detokenize_flops(model: ImageTokenizer, num_tokens: int) -> int:
    """So many ids to pixels, by a tokenizer of any family."""
    with abstractly(), torch.no_grad():
        shapes = type(model)(model.config)
        return count(lambda: shapes.detokenize(Ids(torch.zeros(1, num_tokens, dtype=torch.int64))))


@cache
def generator_flops(config: GeneratorModel) -> Flops:
    """Tokens with mask ids, and a class, to logits; once."""

    def of(depth: int) -> Flops:
        with abstractly():
            module = build_generator(config.model_copy(update={"depth": depth}))
            tokens = torch.zeros(1, config.num_tokens, dtype=torch.int64)
            labels = torch.zeros(1, dtype=torch.int64)
            return of_part(module, lambda: module(tokens, labels))

    step = 2 if config.kind == "uvit" else 1  # blocks of a U-ViT come in pairs, with a skip between them
    bare, some = of(0), of(step)
    one = Flops(*(b - a for a, b in zip(bare, some, strict=True)))
    return bare + one.times(config.depth // step)


@cache
def classifier_flops(config: ClassifierModel, image_size: int) -> Flops:
    """Image to class logits."""
    with abstractly():
        module = Classifier(config)
        images = torch.empty(1, 3, image_size, image_size)
        return of_part(module, lambda: module(images))


def tokenizer_parts(config: TokenizerModel) -> dict[str, Flops]:
    """A TiTok by the boxes of the paper's Figure 3; parts it does not have are left out."""
    parts = {"encoder": encoder_flops(config)}
    if config.num_learned_latents:
        parts["latent_tokens"] = Flops(0, 0, config.num_learned_latents * config.encoder.width)
    if config.has_codebook:
        parts["quantizer"] = quantizer_flops(config.codebook_size, config.code_dim, config.num_latent_tokens)
    parts["decoder"] = decoder_flops(config)
    if config.head == "proxy_codes" and config.vqgan is not None:
        num_codes = (config.grid_size * config.codes_per_patch) ** 2
        parts["pixel_decoder"] = pixel_decoder_flops(config.vqgan, num_codes, is_soft=config.pixel_lookup == "soft")
    return parts


def vqgan_parts(config: VQGANModel, image_size: int) -> dict[str, Flops]:
    """The 2D tokenizer."""
    num_codes = (image_size // config.downsampling) ** 2
    return {
        "encoder": vqgan_encoder_flops(config, image_size),
        "quantizer": quantizer_flops(config.codebook_size, config.code_dim, num_codes),
        "decoder": vqgan_decoder_flops(config, image_size),
    }
