"""Released checkpoints as modules and back: which model a state_dict holds, built from a released config.

A released config may describe a tokenizer and a generator at once, and both are published with it. What a file holds
is therefore read from the names of its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from titok.config.alit import AlitModel
from titok.config.generator_model import GeneratorModel
from titok.config.model import TokenizerModel, VQGANModel
from titok.models import published, published_alit, published_generators
from titok.models.alit import Alit
from titok.models.generator import MaskGIT, build_generator
from titok.models.published import PublishedFormatError
from titok.models.published_generators import config_to_published, generator_model
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.runtime.weight_names import shared_beginning
from titok.runtime.weights import WeightsError, check_fit, load_state

Model = TiTok | MaskGIT | VQGAN | Alit
Kind = Literal["tokenizer", "generator", "vqgan", "alit"]

_MARKS: tuple[tuple[str, Kind], ...] = (
    (published_alit.MARK, "alit"),  # before the others: it has some of their names, too
    ("latent_tokens", "tokenizer"),
    ("encoder.transformer.", "tokenizer"),
    ("encoder.latent_token", "tokenizer"),
    ("model.embeddings.", "generator"),
    ("model.encoder.layer.", "generator"),
    ("in_blocks.", "generator"),
    ("encoder.down.", "vqgan"),
    ("decoder.up.", "vqgan"),
)
"""Beginnings of names that only one kind of model has."""

_READERS: dict[Kind, Callable[[Mapping[str, Any]], TokenizerModel | GeneratorModel | AlitModel]] = {
    "tokenizer": published.config_from_published,
    "generator": generator_model,
    "alit": published_alit.config_from_official,
}
"""What reads the released config of a kind."""

_SECTIONS = (
    "a released config with the sections model.vq_model, model.generator (generators) and dataset.preprocessing "
    "(tokenizers)"
)
_EXPECTED: dict[Kind, str] = {
    "tokenizer": _SECTIONS,
    "generator": _SECTIONS,
    "alit": "the official arguments: model (alit_small, ...), quantize_latent, factorize_latent",
}

_PIXEL_PARTS = ("pixel_quantize.", "pixel_decoder.")
_TRAINING_STATE = "quantize.embed_prob"
"""How often codes were used: only re-anchoring reads it, and the released class has no place for it."""


def kind_of(state: Mapping[str, Tensor], where: str | Path) -> Kind:
    """What a released state_dict is the weights of; raises `WeightsError` when it is nothing known."""
    for mark, kind in _MARKS:
        if any(key.startswith(mark) for key in state):
            return kind
    shown = ", ".join(sorted(state)[:4]) or "none at all"
    wrapper = shared_beginning(state)
    shown += f", all beginning with {wrapper!r}: save the state_dict of the model inside" if wrapper else ""
    raise WeightsError(
        f"{where} holds the weights of no released tokenizer, generator or MaskGIT-VQGAN (keys: {shown}, ...); "
        f"check that it is the right file"
    )


def build_released(
    state: Mapping[str, Tensor], config: Mapping[str, Any] | None, where: str | Path, vqgan: VQGAN | None = None
) -> Model:
    """The model that ``state`` holds the weights of, with these weights, in eval mode and frozen.

    ``config`` is the released config; the MaskGIT-VQGAN has none, and ALIT's sizes are read from its weights where none
    is given. ``vqgan`` supplies the pixel decoder of a stage-1 checkpoint.

    Raises:
        WeightsError: the weights do not fit the config; the message lists the (released) names.
        PublishedFormatError: the config is none, or contradicts itself.
    """
    kind = kind_of(state, where)
    if kind == "alit" and config is None:
        config = published_alit.config_to_official(published_alit.config_of_state(state))
    model = empty_model(kind, config, where)
    if isinstance(model, Alit):
        state = published_alit.without_training_parts(state, model.config.latents)
    if isinstance(model, TiTok) and model.config.head == "proxy_codes" and model.config.pixel_lookup == "argmax":
        state = {**state, **_pixel_parts(vqgan, where)}
    return filled(model, state, where)


def empty_model(kind: Kind, config: Mapping[str, Any] | None, where: str | Path) -> Model:
    """The model that a released config describes, on the meta device: shapes without weights.

    Raises `PublishedFormatError` when the config is none, or contradicts itself.
    """
    if kind == "vqgan":
        with torch.device("meta"):
            return VQGAN(VQGANModel())
    if config is None:
        raise PublishedFormatError(
            f"{where} holds a {kind}, whose sizes are in no file beside it; put its config.json there, or name one of "
            f"the released YAML configs: titok.load(path, config=...)"
        )
    try:
        settings = _READERS[kind](config)
    except (KeyError, TypeError, AttributeError, ValidationError) as error:
        what = f"has no key {error}" if isinstance(error, KeyError) else f"does not describe one ({error})"
        raise PublishedFormatError(
            f"{where} holds a {kind}, but its config {what}; expected {_EXPECTED[kind]}"
        ) from error
    with torch.device("meta"):
        match settings:
            case TokenizerModel():
                return TiTok(settings)
            case AlitModel():
                return Alit(settings)
        return build_generator(settings)


def released_form(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """``(state_dict, config)`` as the released class of ``model`` reads them: the inverse of `build_released`.

    A stage-1 tokenizer (``pixel_lookup: argmax``) has no pixel decoder there. The VQGAN has no released config; it
    gets the one of our own model folders.

    Raises:
        PublishedFormatError: the released class cannot express the model; the message says why.
    """
    if isinstance(model, TiTok):
        settings = model.config.model_copy(update={"pixel_lookup": model.pixel_lookup})
        config = published.config_to_published(settings)
        vqgan = model.config.vqgan if model.config.head == "proxy_codes" else None
    elif isinstance(model, MaskGIT):
        config, vqgan = config_to_published(model.config), None
    elif isinstance(model, Alit):
        config, vqgan = published_alit.config_to_official(model.config), model.config.vqgan
    elif isinstance(model, VQGAN):
        config, vqgan = {"kind": "vqgan", "model": model.config.resolved()}, model.config
    else:
        raise PublishedFormatError(f"the released code has no {type(model).__name__}")
    if vqgan not in (None, VQGANModel()):
        raise PublishedFormatError(f"the VQGAN is {vqgan!r}; all released models have the MaskGIT-VQGAN's sizes")
    state = to_released(model)
    state.pop(_TRAINING_STATE, None)
    if isinstance(model, TiTok) and model.pixel_lookup == "argmax":
        state = {key: tensor for key, tensor in state.items() if not key.startswith(_PIXEL_PARTS)}
    return state, config


def to_released(model: Model) -> dict[str, Tensor]:
    """The state_dict of ``model`` under its released names; also for a model on the meta device."""
    match model:
        case TiTok():
            return published.to_published(model.state_dict(), model.config)
        case MaskGIT():
            return published_generators.to_published(model.state_dict(), model.config)
        case Alit():
            return published_alit.to_official(model.state_dict())
    return dict(model.state_dict())


def filled(model: Model, state: Mapping[str, Tensor], where: str | Path) -> Model:
    """``model``, built on the meta device, with the weights ``state``, which have their released names."""
    check_fit(to_released(model), state, type(model).__name__, where)
    match model:
        case TiTok():
            state = published.from_published(state, model.config)
        case MaskGIT():
            state = published_generators.from_published(state, model.config)
        case Alit():
            state = published_alit.from_official(state)
    load_state(model, state, where)
    return model.eval().requires_grad_(False)


def _pixel_parts(vqgan: VQGAN | None, where: str | Path) -> dict[str, Tensor]:
    """The pixel decoder that a stage-1 checkpoint does not have: codebook and decoder of the proxy VQGAN."""
    if vqgan is None:
        raise WeightsError(
            f"{where} is a stage-1 tokenizer, which has no pixel decoder of its own; "
            f"give the MaskGIT-VQGAN as well: titok.load(path, vqgan=titok.load('maskgit_vqgan'))"
        )
    return {f"pixel_{key}": value for key, value in vqgan.state_dict().items() if not key.startswith("encoder.")}
