"""What the verbs on image files share: reading, batches, the model and its precision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from titok.data.transforms import Rounding, eval_transform, to_uint8
from titok.models.hub import load
from titok.models.image_tokenizer import ImageTokenizer
from titok.runtime.weights import WeightsError

Precision = Literal["fp32", "bf16"]
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
"""Endings that count as images inside a folder."""
VQGAN_SIDE = 256
"""A VQGAN takes any size; the MaskGIT-VQGAN was trained on this one."""


class ImageFileError(Exception):
    """Image files that cannot be read, or whose results would overwrite each other."""


def image_files(paths: Sequence[Path]) -> list[Path]:
    """The files among ``paths``, with every folder replaced by the images in it, sorted by name."""
    files = []
    for path in paths:
        if path.is_dir():
            found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
            if not found:
                raise ImageFileError(f"{path} holds no images; endings looked for: {', '.join(sorted(SUFFIXES))}")
            files += found
        elif path.is_file():
            files.append(path)
        else:
            raise ImageFileError(f"{path} is no file or folder; check the path")
    return files


def read_batch(files: Sequence[Path], side: int) -> Tensor:
    """(B, 3, side, side) in [0, 1]: the official evaluation transform of images of any size.

    The orientation noted by cameras is ignored, as in ImageNet's protocol.
    """
    return torch.stack([eval_transform(read_image(file), side, side) for file in files])


def read_image(file: Path) -> Image.Image:
    """An RGB image of any format; raises `ImageFileError` when it is none."""
    try:
        with Image.open(file) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError) as error:
        raise ImageFileError(f"{file} is no readable image ({error}); remove it or convert it to PNG") from error


def batches(count: int, batch_size: int) -> Iterator[slice]:
    """0..count-1 in parts of at most ``batch_size``."""
    return (slice(start, min(start + batch_size, count)) for start in range(0, count, batch_size))


def open_tokenizer(source: str, config: Path | None, device: torch.device) -> ImageTokenizer:
    """The tokenizer or VQGAN in ``source``; see `titok.models.hub.load`."""
    model = load(source, config=config, device=device)
    if not isinstance(model, ImageTokenizer):
        raise WeightsError(f"{source} holds a {type(model).__name__}; a tokenizer or a VQGAN is needed")
    return model


def image_side(model: ImageTokenizer, wanted: int | None) -> int:
    """Side of the images that ``model`` takes; ``wanted`` counts for those that take any, as a VQGAN does."""
    only: int | None = getattr(model.config, "image_size", None)
    if only is None:
        return wanted or VQGAN_SIDE
    if wanted not in (None, only):
        raise ImageFileError(f"--size is {wanted}, but this tokenizer takes {only} pixels; leave it")
    return only


@contextlib.contextmanager
def inference(device: torch.device, precision: Precision) -> Iterator[None]:
    """No gradients, and with ``bf16`` matrix products in bfloat16; quantizers stay in float32 in any case."""
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


def finished_pixels(images: Tensor, rounding: Rounding, model: object) -> np.ndarray:
    """(B, H, W, 3) uint8 of decoded images (B, 3, H, W); raises when they are no finite numbers."""
    if not torch.isfinite(images).all():
        raise WeightsError(f"{type(model).__name__} gave images that are no finite numbers; try --precision fp32")
    return to_uint8(images, rounding).permute(0, 2, 3, 1).contiguous().cpu().numpy()
