"""The numbers of ALIT's official code: what may be kept here, and what lies beside the checkout alone.

Two of the four images are photographs of ImageNet, which are not ours to hand on: ``tests/golden/alit_tiny`` has the
rows of noise and blocks. Where the whole folder is at hand (`WHOLE`), all rows and the training are compared, too.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden.rule import HERE, Golden, as_images, block_image, load_golden, noise_image
from torch import Tensor

from titok.config.alit import AlitModel
from titok.models.alit import Alit
from titok.models.published_alit import from_official
from titok.runtime.rule import rule_tensor

NAME = "alit_tiny"
WHOLE = Path(__file__).parents[3] / "shared" / "golden" / NAME
needs_whole_folder = pytest.mark.skipif(not WHOLE.is_dir(), reason="the numbers of photographs lie elsewhere")


@cache
def copied() -> Golden:
    """The rows of the first two images."""
    return load_golden(NAME)


@cache
def document(name: str) -> dict[str, Any]:
    """A JSON file of ours."""
    found: dict[str, Any] = json.loads((HERE / NAME / name).read_text())
    return found


def whole_array(file: str) -> dict[str, np.ndarray]:
    """An npz file of the whole folder."""
    return dict(np.load(WHOLE / file))


def images() -> Tensor:
    """Noise, blocks and, where they are at hand, two photographs: (2 or 4, 3, 256, 256)."""
    made = np.stack([noise_image(1234), block_image(1235)])
    if not WHOLE.is_dir():
        return torch.from_numpy(made)
    return torch.from_numpy(np.concatenate([made, as_images(whole_array("inputs.npz")["real_u8"])]))


def alit_rule_tensor(key: str, shape: tuple[int, ...]) -> Tensor:
    """The rule of all folders, but that iteration embeddings are scaled by their width."""
    if not key.endswith("timestep_embedding"):
        return rule_tensor(key, shape, copied().multipliers)
    flat = rule_tensor(key, (int(np.prod(shape)), 1)).reshape(shape)  # the bare draws
    return flat * np.float32(1 / np.sqrt(shape[-1])) * np.float32(copied().multipliers["timestep_embedding"])


def official_state(prefix: str = "") -> dict[str, Tensor]:
    """All weights of alit_tiny under their official names."""
    return {key: alit_rule_tensor(prefix + key, tuple(entry["shape"])) for key, entry in copied().keys.items()}


def alit_tiny(**changes: Any) -> Alit:
    """With weights by the rule, frozen, in eval mode."""
    with torch.device("meta"):
        model = Alit(AlitModel(**changes))
    state = from_official(official_state())
    model.load_state_dict({key: state[key] for key in model.state_dict()}, assign=True)
    return model.eval().requires_grad_(False)


def cut(name: str, whole: Tensor) -> Tensor:
    """``whole`` as the folder's index slices it."""
    text = document("index.json")[name]["slice"]
    if text == "all":
        return whole
    return whole[tuple(_slice(part) for part in text.strip("[]").split(","))]


def _slice(text: str) -> slice:
    return slice(*(int(number) if number.strip() else None for number in text.split(":")))
