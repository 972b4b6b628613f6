"""Model folders (``config.json`` and ``model.safetensors``) back to modules, in eval mode and frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from pydantic import ValidationError
from torch import nn

from titok.config.model import ClassifierModel, GeneratorModel, TokenizerModel, VQGANModel
from titok.models.classifier import Classifier
from titok.models.generator import MaskGIT, build_generator
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.runtime.files import existing_file
from titok.runtime.weights import WeightsError, load_model, load_state

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def build_model(config: dict[str, Any], where: str | Path) -> nn.Module:
    """The module that a ``config.json`` describes, with weights still to be loaded.

    Raises:
        WeightsError: its kind is unknown, or its settings do not build.
    """
    try:
        match config.get("kind"):
            case "classifier":
                return Classifier(ClassifierModel.model_validate(config["model"]))
            case "vqgan":
                return VQGAN(VQGANModel.model_validate(config["model"]))
            case "tokenizer":
                return TiTok(TokenizerModel.model_validate(config["model"]))
            case "generator":
                return build_generator(GeneratorModel.model_validate(config["model"]))
    except (KeyError, ValidationError) as error:
        raise WeightsError(f"{where}: config.json does not describe a model: {error}") from error
    raise WeightsError(
        f"{where}: config.json has kind {config.get('kind')!r}; allowed: classifier, vqgan, tokenizer, generator"
    )


def load_folder(
    file: str | Path, expected: type[AnyModule] | tuple[type[AnyModule], ...], device: torch.device | str = "cpu"
) -> AnyModule:
    """The trained model whose weights are ``file``, with its ``config.json`` beside it.

    Raises:
        FileError: a file is missing or damaged.
        WeightsError: the weights do not fit, or it is another kind of model than ``expected``.
    """
    state, config = load_model(existing_file(file))
    model = build_model(config, file)
    if not isinstance(model, expected):
        kinds = expected if isinstance(expected, tuple) else (expected,)
        needed = " or ".join(kind.__name__ for kind in kinds)
        raise WeightsError(
            f"{file} is a {config['kind']} ({type(model).__name__}), a {needed} is needed; check the path"
        )
    load_state(model, state, file)
    return model.to(device).eval().requires_grad_(False)


def load_classifier(file: str | Path, device: torch.device | str = "cpu") -> Classifier:
    """A trained classifier."""
    return load_folder(file, Classifier, device)


def load_vqgan(file: str | Path, device: torch.device | str = "cpu") -> VQGAN:
    """A trained VQGAN."""
    return load_folder(file, VQGAN, device)


def load_tokenizer(file: str | Path, device: torch.device | str = "cpu") -> TiTok:
    """A trained TiTok."""
    return load_folder(file, TiTok, device)


def load_image_tokenizer(file: str | Path, device: torch.device | str = "cpu") -> TiTok | VQGAN:
    """A trained TiTok or VQGAN: both turn images into tokens and back."""
    return cast(TiTok | VQGAN, load_folder(file, (TiTok, VQGAN), device))


def load_generator(file: str | Path, device: torch.device | str = "cpu") -> MaskGIT:
    """A trained generator."""
    return load_folder(file, MaskGIT, device)
