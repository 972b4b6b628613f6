"""Tokenizers whose encoder somebody trained before: filled from the file that the settings or the workflow name."""

from __future__ import annotations

import sys
from pathlib import Path

from torch import nn

from titok.config.encoder_record import EncoderRecord
from titok.config.package_files import located
from titok.config.section import Section
from titok.config.soft_tokens import SoftModel
from titok.config.weight_files import WeightFile
from titok.errors import OptionError
from titok.models.folder import load_classifier, load_vqgan
from titok.models.soft_tokenizer import ClassifierTokens, GridTokens, SoftTokenizer
from titok.models.soft_tokens import SoftTokens
from titok.runtime.files import FileError
from titok.runtime.processes import place
from titok.runtime.weights import WeightsError


def with_frozen_encoder(
    settings: SoftModel, weights: WeightFile | None, own: Path | None
) -> tuple[SoftTokenizer, dict[str, Path]]:
    """The tokenizer, its encoder filled and its decoder at random, and the encoder's file by its role.

    Args:
        weights: of a network of timm.
        own: in place of them, the model of the study whose encoder it is.

    Raises:
        OptionError: the one that the settings need is not given.
        WeightsError: the file is another one than the settings say, or is of another model.
        FileError: it is missing or damaged.
    """
    model = SoftTokenizer(settings)
    if settings.encoder.timm is not None:
        if weights is None:
            raise OptionError(f"the settings name no weights of {settings.encoder.timm.model}; add weights.path")
        path = file_of(weights.path)
        say_terms(settings.encoder.timm)
        filled: nn.Module = open_timm(settings.encoder.timm, path, weights.sha256)
    else:
        if own is None:
            raise OptionError("titok train soft_decoder needs --encoder for these settings; see titok train --help")
        path = own
        filled = _own_encoder(settings, own)
    model.encoder.load_state_dict(filled.state_dict())
    return model, {"encoder": path}


def open_timm(record: EncoderRecord, path: Path, sha256: str | None) -> SoftTokens:
    """A network with weights of a file that has the sum which the study states, or else the record; no classifier."""
    opened = SoftTokens.open(record.model_copy(update={"sha256": sha256 or record.sha256}), path)
    opened.network.reset_classifier(0)
    return opened


def file_of(weights: str) -> Path:
    """Where a file of weights is; raises `FileError` where it lies in a package that is not installed."""
    try:
        return located(weights)
    except FileNotFoundError as error:
        raise FileError(str(error)) from None


def say_terms(record: EncoderRecord) -> None:
    """Prints under which licence weights come, before they are read; one process of several says it."""
    if place().is_first:
        print(f"weights of {record.model}: {record.terms}", file=sys.stderr)


def _own_encoder(settings: SoftModel, file: Path) -> nn.Module:
    encoder = settings.encoder
    if encoder.vqgan is not None:
        vqgan = load_vqgan(file)
        _require_equal(file, vqgan.config, encoder.vqgan)
        return GridTokens(vqgan.encoder)
    classifier = load_classifier(file)
    _require_equal(file, classifier.config, encoder.classifier)
    return ClassifierTokens(classifier)


def _require_equal(file: Path, found: Section, wanted: Section | None) -> None:
    if found != wanted:
        raise WeightsError(f"{file} has settings {found!r}, but the encoder is to have {wanted!r}; check the path")
