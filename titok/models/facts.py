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
    facts = model.facts
    with torch.device("meta"):
        num_tokens = facts.most_tokens or model.encode(torch.empty(1, 3, image_size, image_size)).shape[1]
    found = tokenizer_parameters(model) | {"num_latent_tokens": float(num_tokens)}
    bits = facts.bits(num_tokens)
    if facts.codebook_size is None or bits is None:
        return found
    compression = image_size**2 * _BITS_PER_PIXEL / bits
    return found | {"codebook_size": float(facts.codebook_size), "bits_per_image": bits, "compression": compression}


def generator_facts(config: GeneratorModel) -> dict[str, float]:
    """Of a MaskGIT transformer."""
    return {"parameters": float(count_parameters(empty_model(config))), "num_latent_tokens": float(config.num_tokens)}
