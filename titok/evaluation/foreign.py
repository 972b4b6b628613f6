"""Reconstructions that another program made, one to one with the images that they are of.

They are scored as if a tokenizer made them just now. Nothing is resized, dropped or guessed: what is missing, there
twice, misnamed or of another size is told by name before anything is scored.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from titok.config.external import Pairing
from titok.data.pictures import to_rgb
from titok.data.transforms import from_uint8
from titok.errors import ScoreError, some_of
from titok.evaluation.samples import Samples
from titok.models.image_tokenizer import Reconstruction
from titok.runtime.system_names import is_hidden, is_system_name

SHOWN = 4
"""Names in a sentence."""


class ForeignReconstructions:
    """Called with batches of images in order, as a tokenizer is, it gives back what the other program made of them."""

    def __init__(self, pictures: Sequence[Path] | Samples) -> None:
        self._pictures = pictures
        self._stream = self._images()
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of the pixels that were given back so far: the same for a folder and for a file of the same pictures."""
        return self._digest.hexdigest()

    @classmethod
    def open(cls, path: Path, keys: Sequence[str], side: int, pairing: Pairing) -> ForeignReconstructions:
        """A folder of pictures, or a `.npz` in the order of the images.

        Args:
            keys: the images' names, in their order.
            side: of the images, in pixels.
            pairing: of a folder's pictures with the images.

        Raises:
            ScoreError: they are not one to one with the images, or of another size; names which.
            FileError: there is no such file, or it is damaged.
        """
        if path.is_dir():
            pictures = _paired(_pictures(path), keys, path, pairing)
            _require_size(pictures, side)
            return cls(pictures)
        samples = Samples.open(path)
        if samples.shape != (len(keys), side, side, 3):
            raise ScoreError(
                f"{path} holds images of shape {samples.shape}, there are {len(keys)} test images of {side} x {side} "
                f"pixels; give one reconstruction each, in their order, of their size"
            )
        return cls(samples)

    def __call__(self, images: Tensor) -> Reconstruction:
        """The reconstructions (B, 3, H, W) in [0, 1] of the next B images; there are no ids."""
        rows = np.stack([next(self._stream) for _ in range(len(images))])
        self._digest.update(rows.tobytes())
        return Reconstruction(from_uint8(torch.from_numpy(rows).permute(0, 3, 1, 2)).to(images.device))

    def _images(self) -> Iterator[np.ndarray]:
        """Each (H, W, 3) uint8."""
        if isinstance(self._pictures, Samples):
            for batch in self._pictures.batches(64):
                yield from batch
        else:
            yield from map(_pixels, self._pictures)


def _pictures(folder: Path) -> list[Path]:
    found = (entry for entry in folder.iterdir() if not is_hidden(entry.name) and not is_system_name(entry.name))
    return sorted(found)


def _require_one_order(pictures: Sequence[Path], folder: Path) -> None:
    """Refuses names that stand in one order as text and in another by their numbers, as 9.png and 10.png do."""

    def by_numbers(picture: Path) -> list[tuple[int, str]]:
        parts = re.findall(r"[0-9]+|[^0-9]+", picture.name)
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]

    for text, number in zip(pictures, sorted(pictures, key=by_numbers), strict=True):
        if text != number:
            raise ScoreError(
                f"{folder}: the order of names is {text.name} before {number.name} as text, and the other way round by "
                f"their numbers; for pairing: order give all numbers the same length, as in 0009 and 0010, or give a "
                f".npz with arr_0 in the order of the images"
            )


def _paired(pictures: Sequence[Path], keys: Sequence[str], folder: Path, pairing: Pairing) -> list[Path]:
    """The picture of every image, in their order."""
    if pairing == "order":
        if len(pictures) != len(keys):
            raise ScoreError(f"{folder} has {len(pictures)} files for {len(keys)} test images; give one each")
        _require_one_order(pictures, folder)
        return list(pictures)
    named: dict[str, list[Path]] = defaultdict(list)
    for picture in pictures:
        named[picture.stem].append(picture)
    wanted = set(keys)
    faults = {
        "without a reconstruction": [key for key in keys if key not in named],
        "with several": [" and ".join(one.name for one in some) for some in named.values() if len(some) > 1],
        "of no test image": [some[0].name for stem, some in named.items() if stem not in wanted],
    }
    if any(faults.values()):
        said = "; ".join(f"{len(names)} {what}: {some_of(names, SHOWN)}" for what, names in faults.items() if names)
        raise ScoreError(
            f"{folder}: {said}. A file is called like its image, {keys[0]}.png; where files have other names in the "
            f"same order, say pairing: order"
        )
    return [named[key][0] for key in keys]


def _require_size(pictures: Sequence[Path], side: int) -> None:
    """From their headers alone."""
    others = [
        f"{picture.name} ({width} x {height})"
        for picture, width, height in map(_size, pictures)
        if (width, height) != (side, side)
    ]
    if others:
        raise ScoreError(
            f"{len(others)} of {len(pictures)} reconstructions are not of {side} x {side} pixels as their images are: "
            f"{some_of(others, SHOWN)}; resizing is a choice that a score would hide: make them of that size"
        )


def _size(picture: Path) -> tuple[Path, int, int]:
    with _opened(picture) as image:
        return picture, image.width, image.height


def _pixels(picture: Path) -> np.ndarray:
    with _opened(picture) as image:
        try:
            return np.asarray(to_rgb(image))
        except Exception as error:  # damaged files fail in many ways inside Pillow
            raise _unreadable(picture, error) from error


def _opened(picture: Path) -> Image.Image:
    try:
        return Image.open(picture)
    except Exception as error:
        raise _unreadable(picture, error) from error


def _unreadable(picture: Path, error: Exception) -> ScoreError:
    return ScoreError(f"{picture} is no readable picture ({error}); make it again, as PNG")
