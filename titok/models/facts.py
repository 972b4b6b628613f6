"""What can be known of full-size models without training them: token counts, bits, compression, parameters.

Models are built on torch's meta device, which allocates nothing: any size takes milliseconds.
"""

from __future__ import annotations

from math import log2

import torch

from titok.config.model import GeneratorModel, TokenizerModel, VQGANModel
from titok.models.generator import build_generator
from titok.models.parameters import count_parameters
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN

_BITS_PER_PIXEL = 24


def tokenizer_facts(config: TokenizerModel) -> dict[str, float]:
    """Of a TiTok; codes and bits only where there is a codebook."""
    with torch.device("meta"):
        model = TiTok(config)
    parts = {"encoder_parameters": model.encoder, "decoder_parameters": model.decoder, "parameters": model}
    facts = {name: float(count_parameters(part)) for name, part in parts.items()}
    facts["num_latent_tokens"] = float(config.num_latent_tokens)
    if config.kind == "vae":
        return facts
    return facts | _code_facts(config.num_latent_tokens, config.codebook_size, config.image_size)


def vqgan_facts(config: VQGANModel, image_size: int) -> dict[str, float]:
    """Of the 2D VQGAN on images of ``image_size`` pixels."""
    with torch.device("meta"):
        model = VQGAN(config)
    num_tokens = (image_size // config.downsampling) ** 2
    facts = {"parameters": float(count_parameters(model)), "num_latent_tokens": float(num_tokens)}
    return facts | _code_facts(num_tokens, config.codebook_size, image_size)


def generator_facts(config: GeneratorModel) -> dict[str, float]:
    """Of a MaskGIT transformer."""
    with torch.device("meta"):
        model = build_generator(config)
    return {"parameters": float(count_parameters(model)), "num_latent_tokens": float(config.num_tokens)}


def _code_facts(num_tokens: int, codebook_size: int, image_size: int) -> dict[str, float]:
    bits = num_tokens * log2(codebook_size)
    compression = image_size**2 * _BITS_PER_PIXEL / bits
    return {"codebook_size": float(codebook_size), "bits_per_image": bits, "compression": compression}
