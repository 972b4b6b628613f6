"""Models of a study as they are built: what entries say, completed by the sizes, tokenizer and dataset they name."""

from __future__ import annotations

from titok.config.generator_model import GeneratorModel
from titok.config.model import TokenizerModel, TokenizerSettings, VQGANModel
from titok.config.recipe import Around
from titok.config.section import Section
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


def model_settings(study: Study, name: str, stage: str) -> Section:
    """The model settings of a named tokenizer of any recipe, in one of its stages."""
    entry = study.tokenizers[name]
    if entry.own is None:
        return tokenizer_model(study, name, stage)
    vqgan = study.vqgan.model if study.vqgan else VQGANModel()
    return entry.own.model(entry, Around(study.dataset.image_size, study.sizes, vqgan))


def generator_model(study: Study, name: str) -> GeneratorModel:
    """The model settings of a named generator: its shape, and what its tokenizer and dataset say."""
    entry = study.generators[name]
    tokenizer = tokenizer_facts(study, entry.tokenizer)
    return GeneratorModel(
        **entry.model.model_dump(),
        num_tokens=tokenizer.num_tokens,
        codebook_size=tokenizer.codebook_size,
        num_classes=study.dataset.num_classes,
        has_lengths=_learns_lengths(study, entry.tokenizer),
    )


def _learns_lengths(study: Study, tokenizer: str) -> bool:
    """Whether each training image's tokens have the length that it needs (`adaptive_length.tokens`)."""
    rule = study.adaptive_length.of_tokens if study.adaptive_length else None
    return rule is not None and tokenizer in study.tokenizers and bool(study.tokenizers[tokenizer].lengths)
