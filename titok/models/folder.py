"""Model folders (``config.json`` and ``model.safetensors``) back to modules, in eval mode and frozen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

import torch
from pydantic import ValidationError
from torch import nn

from titok.config.alit import AlitModel
from titok.config.generator_model import GeneratorModel
from titok.config.model import ClassifierModel, TokenizerModel, VQGANModel
from titok.config.section import Section
from titok.config.soft_tokens import SoftModel
from titok.models.alit import Alit
from titok.models.alit_flops import alit_parts
from titok.models.classifier import Classifier
from titok.models.flops import tokenizer_parts
from titok.models.generator import MaskGIT, build_generator
from titok.models.image_tokenizer import ImageTokenizer
from titok.models.operations import Flops
from titok.models.soft_flops import soft_parts
from titok.models.soft_tokenizer import SoftTokenizer
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.runtime.files import existing_file
from titok.runtime.weights import WeightsError, load_model, load_state

AnyModule = TypeVar("AnyModule", bound=nn.Module)


class Kind(NamedTuple):
    """What a ``kind`` in a ``config.json`` stands for."""

    settings: type[Section]
    build: Callable[[Any], nn.Module]
    """From such settings alone."""
    parts: Callable[[Any], dict[str, Flops]] | None = None
    """Operations of a tokenizer by its boxes; those called `decoder` and `pixel_decoder` turn ids into images."""


KINDS: dict[str, Kind] = {
    "classifier": Kind(ClassifierModel, Classifier),
    "vqgan": Kind(VQGANModel, VQGAN),
    "tokenizer": Kind(TokenizerModel, TiTok, tokenizer_parts),
    "alit": Kind(AlitModel, Alit, alit_parts),
    "soft_tokenizer": Kind(SoftModel, SoftTokenizer, soft_parts),
    "generator": Kind(GeneratorModel, build_generator),
}
"""The one list of models that can be saved and opened; each has settings of a class of its own."""


def build_model(config: dict[str, Any], where: str | Path) -> nn.Module:
    """The module that a ``config.json`` describes, with weights still to be loaded.

    Raises:
        WeightsError: its kind is unknown, or its settings do not build.
    """
    kind = KINDS.get(str(config.get("kind")))
    if kind is None:
        raise WeightsError(f"{where}: config.json has kind {config.get('kind')!r}; allowed: {', '.join(KINDS)}")
    try:
        return kind.build(kind.settings.model_validate(config["model"]))
    except (KeyError, ValidationError) as error:
        raise WeightsError(f"{where}: config.json does not describe a model: {error}") from error


def empty_model(settings: Section) -> nn.Module:
    """The model of such settings, on the meta device: shapes without numbers."""
    with torch.device("meta"):
        return KINDS[_kind_of(settings, "what has them")].build(settings)


def parts_of_model(settings: Section) -> dict[str, Flops]:
    """Operations of a tokenizer of such settings, by its boxes; empty where its kind counts none."""
    parts = KINDS[_kind_of(settings, "what has them")].parts
    return parts(settings) if parts else {}


def own_config(model: nn.Module) -> dict[str, Any]:
    """What `build_model` makes ``model`` from again.

    Raises:
        WeightsError: its settings are of no kind that could be opened.
    """
    settings: Any = getattr(model, "config", None)
    name = _kind_of(settings, f"a {type(model).__name__}")
    return {"kind": name, "model": settings.resolved()}


def _kind_of(settings: object, what: str) -> str:
    name = next((name for name, kind in KINDS.items() if type(settings) is kind.settings), None)
    if name is None:
        raise WeightsError(
            f"{what} with settings of class {type(settings).__name__} is of no known kind ({', '.join(KINDS)}); add it "
            f"to titok.models.folder.KINDS"
        )
    return name


def load_folder(file: str | Path, expected: type[AnyModule], device: torch.device | str = "cpu") -> AnyModule:
    """The trained model whose weights are ``file``, with its ``config.json`` beside it.

    Raises:
        FileError: a file is missing or damaged.
        WeightsError: the weights do not fit, or it is another kind of model than ``expected``.
    """
    state, config = load_model(existing_file(file))
    model = build_model(config, file)
    if not isinstance(model, expected):
        _refuse(file, config, model, f"{expected.__name__} is needed")
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


def load_image_tokenizer(file: str | Path, device: torch.device | str = "cpu") -> ImageTokenizer:
    """A trained tokenizer of any family."""
    model = load_folder(file, nn.Module, device)
    if not isinstance(model, ImageTokenizer):
        needed = "tokenizer of images is needed"
        _refuse(file, own_config(model), model, needed)
    return model


def _refuse(file: str | Path, config: dict[str, Any], model: nn.Module, needed: str) -> NoReturn:
    raise WeightsError(f"{file} is a {config['kind']} ({type(model).__name__}), a {needed}; check the path")


def load_generator(file: str | Path, device: torch.device | str = "cpu") -> MaskGIT:
    """A trained generator."""
    return load_folder(file, MaskGIT, device)  # type: ignore[type-abstract]  # it is asked about, not built
