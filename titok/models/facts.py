"""What can be known of full-size models without training them: token counts, bits, compression, parameters.

Models are built on torch's meta device, which allocates nothing: any size takes milliseconds.
"""

from __future__ import annotations

import torch

from titok.config.generator_model import GeneratorModel
from titok.config.section import Section
from titok.errors import ModelError
from titok.models.folder import empty_model
from titok.models.image_tokenizer import ImageTokenizer
from titok.models.parameters import count_parameters, tokenizer_parameters

_BITS_PER_PIXEL = 24


def tokenizer_facts(settings: Section, image_size: int) -> dict[str, float]:
    """Of a tokenizer of any family, on images of ``image_size`` pixels; codes and bits only where there are ids."""
    model = empty_model(settings)
    if not isinstance(model, ImageTokenizer):
        raise ModelError(f"{type(settings).__name__} makes a {type(model).__name__}, which is no tokenizer of images")
    facts, tokens = model.facts, num_tokens(model, image_size)
    found = tokenizer_parameters(model) | {"num_latent_tokens": float(tokens)}
    bits = facts.bits(tokens)
    if facts.codebook_size is None or bits is None:
        return found
    compression = image_size**2 * _BITS_PER_PIXEL / bits
    return found | {"codebook_size": float(facts.codebook_size), "bits_per_image": bits, "compression": compression}


def num_tokens(model: ImageTokenizer, image_size: int) -> int:
    """K of the image that has the most, also where the image's size decides it: (B, 3, S, S) becomes (B, K, E)."""
    if model.facts.most_tokens is not None:
        return model.facts.most_tokens
    device = next(model.parameters()).device
    with torch.inference_mode():
        return int(model.encode(torch.zeros(1, 3, image_size, image_size, device=device)).shape[1])


def generator_facts(config: GeneratorModel) -> dict[str, float]:
    """Of a MaskGIT transformer."""
    return {"parameters": float(count_parameters(empty_model(config))), "num_latent_tokens": float(config.num_tokens)}
