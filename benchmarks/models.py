"""Models of published sizes with freshly initialised weights (speed does not depend on their values)."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from titok.config.generator_model import GeneratorModel
from titok.config.model import PUBLISHED_SIZES, TokenizerModel, VQGANModel
from titok.config.sampling import PUBLISHED_SAMPLERS, Sampler


class Variant(NamedTuple):
    """One published tokenizer with the generator on its tokens."""

    tokenizer: TokenizerModel
    vqgan: VQGANModel
    generator: GeneratorModel
    sampler: Sampler


def _variant(size: str, num_tokens: int, **generator: Any) -> Variant:
    shape = PUBLISHED_SIZES[size]
    return Variant(
        TokenizerModel(encoder=shape, decoder=shape, num_latent_tokens=num_tokens),
        VQGANModel(),
        GeneratorModel(num_tokens=num_tokens, **generator),
        PUBLISHED_SAMPLERS[f"titok-{size[0]}-{num_tokens}"],
    )


VARIANTS: dict[str, Variant] = {
    "l-32": _variant("large", 32),
    "b-64": _variant("base", 64),
    "s-128": _variant("small", 128, kind="uvit", width=1024, depth=20),
}

_TINY_SIZE = PUBLISHED_SIZES["small"].model_copy(update={"width": 64, "depth": 2, "num_heads": 2})
_TINY_VQGAN = VQGANModel(channels=32, channel_multipliers=(1, 1, 2), code_dim=16, codebook_size=64)
TINY = Variant(
    TokenizerModel(
        image_size=32,
        patch_size=4,
        encoder=_TINY_SIZE,
        decoder=_TINY_SIZE,
        num_latent_tokens=8,
        codebook_size=64,
        vqgan=_TINY_VQGAN,
    ),
    _TINY_VQGAN,
    GeneratorModel(num_tokens=8, codebook_size=64, num_classes=10, width=64, depth=2, num_heads=2),
    PUBLISHED_SAMPLERS["titok-l-32"],
)
"""Not a published size: lets `--quick` show in seconds that everything can be measured."""


def single_stage(variant: Variant, kind: Literal["vq", "vae"]) -> TokenizerModel:
    """The variant's sizes in the single-stage recipe of the released `vq8k` and `vae_c16` models."""
    settings = {"head": "pixels", "vqgan": None, "kind": kind, "use_l2_norm": False}
    extra = {"reanchor_codes": True, "code_dim": 64, "codebook_size": 8192} if kind == "vq" else {"code_dim": 16}
    return TokenizerModel(**(variant.tokenizer.model_dump() | settings | extra))
