"""Models of a study as they are built: what entries say, completed by the sizes, tokenizer and dataset they name."""

from __future__ import annotations

from titok.config.model import GeneratorModel, TokenizerModel, TokenizerSettings, VQGANModel
from titok.config.study import Study
from titok.config.tokenizer_facts import tokenizer_facts


def tokenizer_model(study: Study, name: str, stage: str) -> TokenizerModel:
    """The model settings of a named tokenizer in one of its stages."""
    entry = study.tokenizers[name]
    head = entry.head or ("proxy_codes" if entry.recipe == "two_stage" else "pixels")
    vqgan = study.vqgan.model if study.vqgan else VQGANModel()
    shared = entry.model_dump(include=set(TokenizerSettings.model_fields))
    return TokenizerModel(
        **shared,
        head=head,
        pixel_lookup="argmax" if stage == "stage1" else "soft",
        image_size=study.dataset.image_size,
        encoder=study.sizes[entry.encoder],
        decoder=study.sizes[entry.decoder],
        vqgan=vqgan if head == "proxy_codes" else None,
    )


def generator_model(study: Study, name: str) -> GeneratorModel:
    """The model settings of a named generator: its shape, and what its tokenizer and dataset say."""
    entry = study.generators[name]
    tokenizer = tokenizer_facts(study, entry.tokenizer)
    return GeneratorModel(
        **entry.model.model_dump(),
        num_tokens=tokenizer.num_tokens,
        codebook_size=tokenizer.codebook_size,
        num_classes=study.dataset.num_classes,
    )
