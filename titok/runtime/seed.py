"""One seed per study, one stream of random numbers per purpose.

Every draw is keyed by what it is for (``generator(seed, "augment", step)``), never by how many draws came before it:
runs can be cut, resumed or spread over processes without changing a number.
"""

from __future__ import annotations

import hashlib
import json
import operator
import random
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive_seed(seed: int, *stream: int | str) -> int:
    """A 63-bit seed for the stream named by ``stream``; the same on every platform and version.

    The first 8 bytes of the SHA-256 of the JSON list ``[seed, *stream]``, without the lowest bit. Integers (numpy's
    too) and strings are different names: ``1`` is not ``"1"``.
    """
    names = [name if isinstance(name, str) else operator.index(name) for name in (seed, *stream)]
    digest = hashlib.sha256(json.dumps(names, separators=(",", ":")).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *stream: int | str) -> torch.Generator:
    """A fresh CPU generator for one stream."""
    import torch

    return torch.Generator().manual_seed(derive_seed(seed, *stream))


def seed_everything(seed: int, *stream: int | str) -> None:
    """Seeds the global generators of ``random``, numpy and torch.

    For code that cannot be handed a generator: parameter initialisation and dropout.
    """
    import torch

    derived = derive_seed(seed, *stream)
    random.seed(derived)
    np.random.seed(derived % 2**32)
    torch.manual_seed(derived)


def seed_dropout(seed: int, device: torch.device) -> None:
    """Seeds the generators that dropout uses; ``torch.manual_seed`` would visit every backend, at 0.1 ms a step."""
    import torch

    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
