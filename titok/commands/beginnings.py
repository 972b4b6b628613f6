"""Where a training begins that does not begin at random weights, and what people are told of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from titok.commands.frozen_encoders import open_timm, say_terms, weights_path
from titok.config.encoder_init import EncoderInit
from titok.config.training import Training
from titok.models.hub import find, load
from titok.models.tokenizer import TiTok
from titok.models.vit_weights import NEVER_GIVEN, as_encoder
from titok.runtime.processes import place
from titok.runtime.weights import WeightsError
from titok.training.start_from import begin_from
from titok.training.task import Task


def begin(task: Task, training: Training, encoder_init: EncoderInit | None = None) -> dict[str, Path]:
    """Begins at the weights that the settings name, and says what was taken; their file, if any."""
    if encoder_init is not None:
        return _begin_encoder(task, encoder_init)
    chosen = training.start_from
    if chosen is None:
        return {}
    weights, _ = find(chosen.weights)
    given = load(weights, sha256=chosen.sha256).state_dict()
    task.start = begin_from(task.model, given, chosen.leave_out, str(weights))
    _say(weights, task.start)
    return {"start_from": weights}


def _begin_encoder(task: Task, chosen: EncoderInit) -> dict[str, Path]:
    """The encoder of a TiTok begins as a network of timm, everything else at random."""
    model, record = task.model, chosen.encoder
    if not isinstance(model, TiTok):
        raise WeightsError(f"encoder_init is for a TiTok, and this is a {type(model).__name__}; remove it")
    path = weights_path(chosen.weights)
    say_terms(record)
    opened = open_timm(record, path, chosen.weights.sha256)
    seen = opened.preprocessing
    heads = model.config.encoder.num_heads
    given = as_encoder(opened.network, seen["mean"], seen["std"], heads, record.model)
    others = {name.split(".")[0] for name in model.state_dict()} - {"encoder"}
    absent = [f"encoder.{part}" for part in (*NEVER_GIVEN, "norm_pre") if not any(_is_of(name, part) for name in given)]
    there = [part for part in absent if any(_is_of(name, part) for name in model.state_dict())]
    leave_out = (*sorted(others), *there, *chosen.leave_out)
    wanted = model.state_dict()
    idle = [name for name in given if name.startswith("blocks.") and f"encoder.{name}" not in wanted]
    if idle:
        raise WeightsError(f"{record.model} has {idle[0]}, the encoder has not; give its size as many blocks (depth)")
    below = {f"encoder.{name}": value for name, value in given.items()}
    task.start = begin_from(model, below, leave_out, f"{record.model} ({path})", setting="encoder_init")
    _say(path, task.start)
    return {"encoder_init": path}


def _is_of(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _say(weights: Path, start: Mapping[str, Any]) -> None:
    if place().is_first:
        said = ", ".join(f"{count:,} in {part}" for part, count in start["taken"].items())
        new = ", ".join(f"{count:,} in {part}" for part, count in start["new"].items())
        print(f"begins at {weights}: {said}{f'; anew: {new}' if new else ''}", file=sys.stderr)
