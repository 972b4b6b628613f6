"""What everyone needs to know who meets a tokenizer by its name: a TiTok, the study's 2D VQGAN, a 2D baseline, a
frozen encoder with a decoder, or another program that gave ids."""

from __future__ import annotations

from typing import NamedTuple

from titok.config.external import EXTERNAL
from titok.config.rows import PROXY_TOKENIZER
from titok.config.soft_models import soft_model
from titok.config.soft_tokens import FROZEN, SOFT_STAGE
from titok.config.study import Study

BASELINE_STAGE = "vqgan_2d"
"""The one stage of a 2D baseline."""


class TokenizerFacts(NamedTuple):
    """A named tokenizer, seen from outside."""

    stages: tuple[str, ...]
    """What it is trained in, in order; the 2D VQGAN's only one is called `vqgan`, like itself."""
    recipe: str
    size: str
    """Of its encoder, or of the decoder of a frozen one; `vqgan` for 2D tokenizers, which have no size of the study."""
    num_tokens: int
    """Per image: K, or the codes of the grid."""
    codebook_size: int
    """Of frozen encoders 0: there is none."""
    is_discrete: bool


def tokenizer_facts(study: Study, name: str) -> TokenizerFacts:
    """The facts of a tokenizer of a study, a baseline of it or its VQGAN.

    Raises:
        KeyError: there is none of that name.
    """
    two_dimensional = study.two_dimensional(name)
    if two_dimensional:
        stage = BASELINE_STAGE if name in study.baselines else PROXY_TOKENIZER
        codes = (study.dataset.image_size // two_dimensional.downsampling) ** 2
        return TokenizerFacts((stage,), "vqgan_2d", PROXY_TOKENIZER, codes, two_dimensional.codebook_size, True)
    if name == PROXY_TOKENIZER:
        raise KeyError("the study has no vqgan section")
    if name in study.soft_tokenizers:
        size, model = study.soft_tokenizers[name].decoder, soft_model(study, name)
        return TokenizerFacts((SOFT_STAGE,), FROZEN, size, model.num_latent_tokens, 0, is_discrete=False)
    if name in study.external:
        made = study.external[name]
        if made.num_latent_tokens is None or made.codebook_size is None:
            raise KeyError(f"external.{name} has no tokens")
        return TokenizerFacts((EXTERNAL,), EXTERNAL, EXTERNAL, made.num_latent_tokens, made.codebook_size, True)
    entry = study.tokenizers[name]
    return TokenizerFacts(
        stages=entry.stages,
        recipe=entry.recipe,
        size=entry.encoder,
        num_tokens=entry.num_latent_tokens,
        codebook_size=entry.codebook_size,
        is_discrete=entry.is_discrete,
    )


def generator_stage(study: Study, generator: str) -> str:
    """The stage of the tokenizer that a generator's tokens come from and go back through."""
    entry = study.generators[generator]
    return entry.stage or tokenizer_facts(study, entry.tokenizer).stages[-1]
