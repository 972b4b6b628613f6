"""TiTok, rebuilt to be reproduced: models, training, sampling, evaluation and the tables of the paper.

    import titok
    tokenizer = titok.load("tokenizer_titok_l32")      # a folder, a file, a name of config/sources.yaml, a repository
    ids = tokenizer.tokenize(images)                   # (B, 3, 256, 256) in [0, 1] -> ids.values (B, 32)
    images = tokenizer.detokenize(ids)
    tokens = titok.generate(titok.load("generator_titok_l32"), [207, 1], "titok-l-32")
    titok.save(tokenizer, "folder")                    # for the released code and for titok.load

This file imports nothing heavy on purpose: Snakemake parses studies through ``titok.config`` and must
never wait for torch. The three functions are imported when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from titok.generation.generate import generate
    from titok.models.hub import load, save

__all__ = ["__version__", "generate", "load", "save"]
__version__ = "0.2.0"

_LAZY = {"generate": "titok.generation.generate", "load": "titok.models.hub", "save": "titok.models.hub"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
