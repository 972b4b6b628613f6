"""Files of tokens or latents, as JSON (to read) or ``.npz`` (for many): which image is what, by which tokenizer."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from titok.errors import TokenError
from titok.models.image_tokenizer import Ids, ImageTokenizer
from titok.runtime.files import load_npz, read_json, save_npz, write_json


@dataclass(frozen=True)
class TokenFile:
    """Tokens (N, K) integers, or a vae's latents (N, K, E) float32, with the name of each image."""

    codes: np.ndarray
    names: tuple[str, ...]
    settings: dict[str, Any] | None
    """The resolved settings of the tokenizer; None for tokens of `titok generate`, which no tokenizer made."""
    lengths: np.ndarray | None = None
    """(N,) int64, how many tokens each image has, where they differ; of those with fewer than K, the rest is 0."""

    def save(self, path: Path) -> None:
        """Writes ``.json`` or ``.npz``."""
        if path.suffix == ".npz":
            about = np.array(json.dumps(self.settings, sort_keys=True))
            lengths = {} if self.lengths is None else {"lengths": self.lengths}
            save_npz(path, codes=self.codes, names=np.array(self.names), settings=about, **lengths)
            return
        write_json(path, {"settings": self.settings, "images": list(self._entries())})

    def _entries(self) -> Iterator[dict[str, Any]]:
        """The images of a JSON file: a code has as many tokens as it says."""
        for place, (name, code) in enumerate(zip(self.names, self.codes, strict=True)):
            if self.lengths is None:
                yield {"name": name, "codes": code.tolist()}
            else:
                length = int(self.lengths[place])
                yield {"name": name, "length": length, "codes": code[:length].tolist()}

    @classmethod
    def open(cls, path: Path) -> TokenFile:
        """Reads what `save` or `titok generate` wrote; raises `TokenError` for another content."""
        try:
            found = _of_arrays(load_npz(path, skip=("arr_0",))) if path.suffix == ".npz" else _of_json(read_json(path))
        except (KeyError, TypeError, ValueError) as error:
            raise TokenError(
                f"{path} is no file of `titok tokenize` or `titok generate` ({error!r}); write it again"
            ) from error
        if (
            found.codes.ndim not in (2, 3)
            or len(found.codes) != len(found.names)
            or found.codes.dtype.kind not in "iuf"
        ):
            raise TokenError(
                f"{path} has codes of shape {found.codes.shape} ({found.codes.dtype}) for {len(found.names)} images; "
                f"write it again"
            )
        found._require_sense(path)
        return found

    def _require_sense(self, where: Path) -> None:
        """What an edited or foreign file can have wrong: kinds and numbers of codes."""
        if self.codes.ndim == 2 and self.codes.dtype.kind == "f":
            raise TokenError(f"{where} has tokens of type {self.codes.dtype}; tokens are whole numbers: write it again")
        if not np.isfinite(self.codes).all():
            raise TokenError(f"{where} has latents that are no finite numbers; write it again")
        settings, shape = self.settings or {}, self.codes.shape
        sizes = dict(zip(("num_latent_tokens", "code_dim"), shape[1:], strict=False))
        said = {key: settings[key] for key in sizes if key in settings}
        if self.lengths is not None:
            said.pop("num_latent_tokens", None)  # the longest code that an image happens to have
            self._require_lengths(where)
        fits = all(number == sizes[key] for key, number in said.items())
        if settings.get("model") == "VQGAN":
            said, fits = {"a square number of codes": ""}, math.isqrt(shape[1]) ** 2 == shape[1]
        if not fits:
            words = ", ".join(f"{key} {number}".strip() for key, number in said.items())
            raise TokenError(f"{where} has codes of shape {shape}, but its own settings say {words}; write it again")

    def _require_lengths(self, where: Path) -> None:
        lengths, most = self.lengths, self.codes.shape[1]
        assert lengths is not None
        if lengths.shape != (len(self.codes),) or lengths.dtype.kind not in "iu":
            raise TokenError(
                f"{where} has lengths of shape {lengths.shape} ({lengths.dtype}) for {len(self.codes)} images; one "
                f"whole number for each is needed: write it again"
            )
        if len(lengths) and not 1 <= int(lengths.min()) <= int(lengths.max()) <= most:
            raise TokenError(
                f"{where} has lengths from {lengths.min()} to {lengths.max()}, but codes of 1 to {most} tokens; write "
                f"it again"
            )

    def ids(self, model: ImageTokenizer, part: slice, where: Path) -> Ids:
        """The codes of some images, with their lengths; raises `TokenError` unless they are ``model``'s own."""
        codes = self._tensor(model, part, where)
        if self.lengths is None:
            return Ids(codes)
        allowed = model.facts.lengths
        unknown = sorted({int(length) for length in self.lengths} - set(allowed))
        if unknown:
            known = ", ".join(map(str, allowed)) or f"only {self.codes.shape[1]}, of every image"
            raise TokenError(f"{where} has codes of length {unknown[0]}; this tokenizer reads {known}")
        return Ids(codes, torch.from_numpy(self.lengths[part].astype(np.int64)))

    def _tensor(self, model: ImageTokenizer, part: slice, where: Path) -> torch.Tensor:
        """The codes of some images as ``model`` wants them; raises `TokenError` unless they are its own."""
        if self.settings is None:
            self._require_shape(model, where)
        elif self.settings != settings_of(model):
            known = self.settings
            differing = sorted(key for key, value in settings_of(model).items() if known.get(key, "nothing") != value)
            raise TokenError(
                f"{where} was written by another tokenizer (differing: {', '.join(differing) or 'settings'}); "
                f"use the one that wrote it"
            )
        if self.codes.ndim == 3:
            return torch.from_numpy(self.codes[part].astype(np.float32))
        size = model.facts.codebook_size or np.iinfo(np.int64).max
        lowest, highest = int(self.codes.min(initial=0)), int(self.codes.max(initial=0))
        if lowest < 0 or highest >= size:
            raise TokenError(f"{where} has tokens from {lowest} to {highest}; allowed: 0 to {size - 1}")
        return torch.from_numpy(self.codes[part].astype(np.int64))

    def _require_shape(self, model: ImageTokenizer, where: Path) -> None:
        """Generated tokens name no tokenizer; their number and kind must at least be those of ``model``."""
        facts, width = model.facts, self.codes.shape[1]
        # Of samples with lengths of their own, the longest one there is may be shorter; `ids` looks at each length.
        wanted = width if self.lengths is not None and facts.lengths else facts.most_tokens or width
        if not facts.is_discrete or self.codes.ndim != 2 or self.codes.shape[1] != wanted:
            raise TokenError(
                f"{where} has generated tokens of shape {self.codes.shape}; this {type(model).__name__} reads {wanted} "
                f"{'tokens' if facts.is_discrete else 'latents'}: use the tokenizer that the generator was trained with"
            )


def _of_json(document: dict[str, Any]) -> TokenFile:
    if "samples" in document:
        samples, seed = document["samples"], document["seed"]
        names = generated_names([sample["class"] for sample in samples], seed)
        codes, lengths = _codes_of(samples, "tokens")
        return TokenFile(codes, names, None, lengths)
    images = document["images"]
    names = tuple(str(image["name"]) for image in images)
    codes, lengths = _codes_of(images, "codes")
    return TokenFile(codes, names, document["settings"], lengths)


def _codes_of(entries: Sequence[dict[str, Any]], key: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The codes of all images, and their lengths where they have any; one that lacks its length is no such file."""
    codes = [entry[key] for entry in entries]
    for place, entry in enumerate(entries):
        if isinstance(entry.get("length"), bool) or any(isinstance(one, bool) for one in entry[key]):
            raise ValueError(f"image {place} has true or false where a number belongs")  # Python takes them for 1 and 0
    if not any("length" in entry for entry in entries):
        return np.array(codes), None
    return _filled_up(codes, [entry["length"] for entry in entries])


def _filled_up(codes: Sequence[list[int]], lengths: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Codes of any lengths as one array (N, K), 0 where an image has no more; raises `ValueError` for other lengths."""
    for place, (code, length) in enumerate(zip(codes, lengths, strict=True)):
        if len(code) != length:
            raise ValueError(f"image {place} has length {length} and {len(code)} codes")
    filled = np.array([[*code, *[0] * (max(lengths) - len(code))] for code in codes])
    return filled, np.array(lengths)


def _of_arrays(arrays: dict[str, np.ndarray]) -> TokenFile:
    names = tuple(str(name) for name in arrays["names"])
    if "tokens" in arrays and "codes" not in arrays:
        return TokenFile(arrays["tokens"], names, None, arrays.get("lengths"))
    return TokenFile(arrays["codes"], names, json.loads(str(arrays["settings"])), arrays.get("lengths"))


def generated_names(classes: Sequence[int], seed: int) -> tuple[str, ...]:
    """What the images of `titok generate` are called: their class, the seed, and which of the class it is."""
    counts: Counter[int] = Counter()
    names = []
    for label in classes:
        names.append(f"class{label:04d}_seed{seed}_{counts[label]:03d}")
        counts[label] += 1
    return tuple(names)


def settings_of(model: ImageTokenizer) -> dict[str, Any]:
    """The settings of a tokenizer that make its codes what they are."""
    return {"model": type(model).__name__, **model.config.resolved()}


def stacked(codes: Sequence[Ids]) -> tuple[np.ndarray, np.ndarray | None]:
    """Batches of tokens or latents as one array, as wide as the longest of them, and the lengths if they have any."""
    widest = max(batch.values.shape[1] for batch in codes)
    values = torch.cat([_widened(batch.values, widest) for batch in codes]).numpy()
    lengths = [batch.lengths for batch in codes if batch.lengths is not None]
    return values, torch.cat(lengths).numpy() if lengths else None


def _widened(values: torch.Tensor, width: int) -> torch.Tensor:
    if values.shape[1] == width:
        return values
    return torch.cat([values, values.new_zeros(len(values), width - values.shape[1])], dim=1)
