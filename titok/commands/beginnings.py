"""Where a training begins that does not begin at random weights, and what people are told of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from titok.commands.frozen_encoders import file_of, open_timm, say_terms
from titok.config.encoder_init import EncoderInit
from titok.config.training import Training
from titok.models.hub import find, load
from titok.models.vit_weights import for_encoder_of
from titok.runtime.processes import place
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
    record, path = chosen.encoder, file_of(chosen.weights.path)
    say_terms(record)
    opened = open_timm(record, path, chosen.weights.sha256)
    seen = opened.preprocessing
    given = for_encoder_of(task.model, opened.network, seen["mean"], seen["std"], record.model)
    leave_out = (*given.absent, *chosen.leave_out)
    task.start = begin_from(task.model, given.weights, leave_out, f"{record.model} ({path})", setting="encoder_init")
    _say(path, task.start)
    return {"encoder_init": path}


def _say(weights: Path, start: Mapping[str, Any]) -> None:
    if place().is_first:
        said = ", ".join(f"{count:,} in {part}" for part, count in start["taken"].items())
        new = ", ".join(f"{count:,} in {part}" for part, count in start["new"].items())
        print(f"begins at {weights}: {said}{f'; anew: {new}' if new else ''}", file=sys.stderr)
