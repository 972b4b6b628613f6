"""Files of tokens or latents, as JSON (to read) or ``.npz`` (for many): which image is what, by which tokenizer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.runtime.files import load_npz, read_json, save_npz, write_json


class TokenFileError(ValueError):
    """A file of tokens that is none, or that another tokenizer wrote."""


@dataclass(frozen=True)
class TokenFile:
    """Tokens (N, K) integers, or a vae's latents (N, K, E) float32, with the name of each image."""

    codes: np.ndarray
    names: tuple[str, ...]
    settings: dict[str, Any]
    """The resolved settings of the tokenizer."""

    def save(self, path: Path) -> None:
        """Writes ``.json`` or ``.npz``."""
        if path.suffix == ".npz":
            about = np.array(json.dumps(self.settings, sort_keys=True))
            save_npz(path, codes=self.codes, names=np.array(self.names), settings=about)
            return
        images = [{"name": name, "codes": code.tolist()} for name, code in zip(self.names, self.codes, strict=True)]
        write_json(path, {"settings": self.settings, "images": images})

    @classmethod
    def open(cls, path: Path) -> TokenFile:
        """Reads what `save` wrote; raises `TokenFileError` for another content."""
        try:
            if path.suffix == ".npz":
                arrays = load_npz(path)
                codes, names = arrays["codes"], tuple(str(name) for name in arrays["names"])
                settings = json.loads(str(arrays["settings"]))
            else:
                document = read_json(path)
                names = tuple(str(image["name"]) for image in document["images"])
                codes, settings = np.array([image["codes"] for image in document["images"]]), document["settings"]
        except (KeyError, TypeError, ValueError) as error:
            raise TokenFileError(f"{path} is no file of `titok tokenize` ({error!r}); write it again") from error
        if codes.ndim not in (2, 3) or len(codes) != len(names):
            raise TokenFileError(f"{path} has codes of shape {codes.shape} for {len(names)} images; write it again")
        return cls(codes, names, settings)

    def tensor(self, model: TiTok | VQGAN, part: slice, where: Path) -> torch.Tensor:
        """The codes of some images as ``model`` wants them; raises `TokenFileError` unless they are its own."""
        if self.settings != settings_of(model):
            differing = sorted(
                key for key, value in settings_of(model).items() if self.settings.get(key, "nothing") != value
            )
            raise TokenFileError(
                f"{where} was written by another tokenizer (differing: {', '.join(differing) or 'settings'}); "
                f"use the one that wrote it"
            )
        if self.codes.ndim == 3:
            return torch.from_numpy(self.codes[part].astype(np.float32))
        size = int(model.config.codebook_size)
        lowest, highest = int(self.codes.min(initial=0)), int(self.codes.max(initial=0))
        if lowest < 0 or highest >= size:
            raise TokenFileError(f"{where} has tokens from {lowest} to {highest}; allowed: 0 to {size - 1}")
        return torch.from_numpy(self.codes[part].astype(np.int64))


def settings_of(model: TiTok | VQGAN) -> dict[str, Any]:
    """The settings of a tokenizer that make its codes what they are."""
    return {"model": type(model).__name__, **model.config.resolved()}


def stacked(codes: Sequence[torch.Tensor]) -> np.ndarray:
    """Batches of tokens or latents as one array."""
    return torch.cat([code.cpu() for code in codes]).numpy()
