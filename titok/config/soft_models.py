"""Frozen encoders of a study as they are built: what entries say, completed by what the study has."""

from __future__ import annotations

from titok.config.rows import PROXY_TOKENIZER
from titok.config.soft_tokens import FrozenEncoder, SoftModel
from titok.config.study import Study


def soft_model(study: Study, name: str) -> SoftModel:
    """The model settings of a named frozen encoder with its decoder."""
    entry, own = study.soft_tokenizers[name], study.soft_tokenizers[name].own_encoder
    encoder = FrozenEncoder(
        timm=entry.record,
        classifier=study.classifiers[own].model if own in study.classifiers else None,
        vqgan=study.vqgan.model if own == PROXY_TOKENIZER and study.vqgan else None,
        image_size=study.dataset.image_size,
    )
    return SoftModel(
        encoder=encoder,
        num_latent_tokens=encoder.num_tokens if entry.tokens == "all" else entry.tokens,
        normalise=entry.normalise,
        patch_size=entry.patch_size,
        decoder=study.sizes[entry.decoder],
    )
