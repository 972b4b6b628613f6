"""Trainings that begin at weights that somebody has already: released ones, or one's own of another run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from titok.errors import some_of
from titok.runtime.weights import WeightsError

OF_THE_DATA = frozenset({"length_counts"})
"""What a model keeps of its training set and no step learns: never another set's."""
SHOWN = 6
"""Names in a sentence."""


@torch.no_grad()
def begin_from(
    model: nn.Module, given: Mapping[str, Tensor], leave_out: Sequence[str], where: str, setting: str = "start_from"
) -> dict[str, Any]:
    """Fills ``model`` from weights of the same names, but for the parts in ``leave_out``, which stay as they are.

    Args:
        given: name -> tensor, of a model of the same kind.
        leave_out: beginnings of names, up to a dot: `pixel_decoder`, `encoder.patch_embed`.
        where: what the weights are called in messages.
        setting: what the section with `leave_out` is called there.

    Returns:
        For the manifest: which parts (first words of names) were `taken` and which are `new`, and how many numbers.

    Raises:
        WeightsError: something is missing or has another shape and was not left out, or there is nothing of a name that
            was to be left out; all of it is listed, and nothing was changed.
    """
    wanted = model.state_dict()
    idle = [part for part in leave_out if not any(_is_in(name, part) for name in wanted)]
    if idle:
        raise WeightsError(
            f"{setting}.leave_out names {', '.join(idle)}, which this model has not; its parts: "
            f"{', '.join(sorted({name.split('.')[0] for name in wanted}))}"
        )
    chosen = (name for name in wanted if not any(_is_in(name, part) for part in leave_out))
    taken = [name for name in chosen if name not in OF_THE_DATA]
    faults = [
        f"{name} (absent)"
        if name not in given
        else f"{name} ({_shape(given[name])} there, {_shape(wanted[name])} here)"
        for name in taken
        if name not in given or given[name].shape != wanted[name].shape
    ]
    if faults:
        raise WeightsError(
            f"{where} does not fit this model: {some_of(faults, SHOWN)}; take weights of the same settings, "
            f"or name the parts that shall begin anew in {setting}.leave_out"
        )
    broken = [name for name in taken if not torch.isfinite(given[name].float()).all()]
    if broken:
        raise WeightsError(f"{where} has numbers that are not finite, in {', '.join(broken[:SHOWN])}; fetch it again")
    for name in taken:
        wanted[name].copy_(given[name])
    new = [name for name in wanted if name not in {*taken, *OF_THE_DATA}]
    return {"taken": _counted(taken, wanted), "new": _counted(new, wanted)}


def _is_in(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a number"


def _counted(names: Sequence[str], tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Part -> numbers in it."""
    found: dict[str, int] = {}
    for name in names:
        part = name.split(".")[0]
        found[part] = found.get(part, 0) + tensors[name].numel()
    return found
