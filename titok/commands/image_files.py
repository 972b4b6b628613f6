"""What the verbs on image files share: reading, batches, the model and its precision."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from titok.data.messages import all_of
from titok.data.pictures import PictureError, narrow_range, to_rgb
from titok.data.transforms import Rounding, eval_transform, to_uint8
from titok.errors import TitokError, some_of
from titok.models.hub import load
from titok.models.image_tokenizer import ImageTokenizer
from titok.runtime.files import FileError, require_content
from titok.runtime.system_names import is_hidden, is_system_name
from titok.runtime.weights import WeightsError

NO_PIXELS = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats of Pillow that it knows by their headers only, or reads with another program."""
SHOWN = 5
"""Names in a line about what is left out."""
VQGAN_SIDE = 256
"""A VQGAN takes any size; the MaskGIT-VQGAN was trained on this one."""


class ImageFileError(TitokError):
    """Image files that cannot be read, or whose results would overwrite each other."""


def image_files(paths: Sequence[Path]) -> list[Path]:
    """The files among ``paths``, with every folder replaced by the images in it, sorted by name.

    Files of operating systems are passed over; what else a folder holds is said on standard error. Raises
    `ImageFileError` for all files at once that are named twice, or that cannot be read by their names or headers.
    """
    files: dict[str, Path] = {}
    refused: list[str] = []
    for path in paths:
        if is_system_name(path.name):
            continue
        for file in _images_in(path) if path.is_dir() else [path]:
            first = files.get(_entry(file))
            if first is None:
                files[_entry(file)] = file
            else:
                same = "" if str(file) == str(first) else f", as {first} and as {file}"
                refused.append(f"{first} is named twice{same}; name it once, itself or its folder")
    if refused:
        raise ImageFileError(all_of(refused, "pictures are named twice"))
    if not files:
        raise ImageFileError(f"{', '.join(map(str, paths))}: files of an operating system, and no images")
    for file in files.values():
        try:
            _check_header(file)
        except ImageFileError as error:
            refused.append(str(error))
    if refused:
        raise ImageFileError(all_of(refused, "files cannot be read"))
    return list(files.values())


def _entry(file: Path) -> str:
    """Equal for all ways to name one entry of a folder; a link is another entry than its target."""
    return os.path.join(os.path.realpath(file.parent), file.name)


def picture_suffixes() -> set[str]:
    """Endings, in small letters, of the formats that this Pillow reads pixels from."""
    Image.init()
    return {ending for ending, name in Image.registered_extensions().items() if name in Image.OPEN.keys() - NO_PIXELS}


def _images_in(folder: Path) -> list[Path]:
    """Images of a folder by their names, sorted; says what else there is."""
    entries = sorted(entry for entry in folder.iterdir() if not is_hidden(entry.name))
    endings = picture_suffixes()
    taken = {entry: entry.suffix.lower() in endings and not entry.is_dir() for entry in entries}
    found = [entry for entry in entries if taken[entry]]
    others = [entry.name + "/" * entry.is_dir() for entry in entries if not taken[entry]]
    named = some_of(others, SHOWN)
    if not found:
        raise ImageFileError(
            f"{folder} holds no images{f', but {named}' if others else ''}; endings looked for: "
            f"{', '.join(sorted(endings))}"
        )
    if others:
        print(f"{folder}: left out what is no picture by its name: {named}", file=sys.stderr)
    return found


def _check_header(file: Path) -> None:
    """Raises `ImageFileError` when a file cannot be an image that can be read, without decoding it."""
    if file.is_symlink() and not file.exists():
        raise ImageFileError(f"{file} is a dangling link: {file.readlink()} does not exist; mend or remove the link")
    if not file.is_file():
        raise ImageFileError(f"{file} is no file or folder; check the path")
    try:
        require_content(file)
    except (FileError, OSError) as error:
        raise ImageFileError(str(error)) from error
    with _as_image_error(file), Image.open(file) as image:
        if image.mode in ("I", "F"):  # Few are; whether they can be used depends on what they hold.
            to_rgb(image)


def read_batch(files: Sequence[Path], side: int, later: Sequence[Path] = ()) -> Tensor:
    """(B, 3, side, side) in [0, 1]: the official evaluation transform of images of any size.

    The orientation noted by cameras is ignored, as in ImageNet's protocol. Raises `ImageFileError` for all files that
    cannot be decoded, those of ``later`` too, which the run would meet one by one.
    """
    try:
        return torch.stack([eval_transform(read_image(file), side, side) for file in files])
    except ImageFileError as error:
        reasons = [reason for file in (*files, *later) if (reason := _why_unreadable(file))]
        raise ImageFileError(all_of(reasons or [str(error)], "files cannot be read")) from error


def read_image(file: Path) -> Image.Image:
    """An RGB image of any format; raises `ImageFileError` when it is none."""
    with _as_image_error(file), Image.open(file) as image:
        count = getattr(image, "n_frames", 1)
        if count > 1 and image.format != "MPO":  # cameras append a small copy, which nobody means
            print(f"{file} holds {count} pictures; the first is taken", file=sys.stderr)
        if found := narrow_range(image):
            print(
                f"{file}: its 16 bits a channel hold values from {found[0]} to {found[1]} only, as pictures of 12 bits "
                f"do; it is read as nearly black, for white is 65535: if it should not be, multiply its values by 16",
                file=sys.stderr,
            )
        return to_rgb(image)


def _why_unreadable(file: Path) -> str | None:
    try:
        read_image(file)
    except ImageFileError as error:
        return str(error)
    return None


@contextlib.contextmanager
def _as_image_error(file: Path) -> Iterator[None]:
    """Damaged files fail in many ways inside Pillow: OSError, SyntaxError, struct.error, RuntimeError."""
    try:
        yield
    except PictureError as error:
        raise ImageFileError(f"{file} cannot be read as a picture: {error}") from error
    except MemoryError:
        raise
    except Exception as error:
        raise ImageFileError(f"{file} is no readable image ({error}); remove it or convert it to PNG") from error


def batches(count: int, batch_size: int) -> Iterator[slice]:
    """0..count-1 in parts of at most ``batch_size``."""
    return (slice(start, min(start + batch_size, count)) for start in range(0, count, batch_size))


def open_tokenizer(source: str, config: Path | None, device: torch.device) -> ImageTokenizer:
    """The tokenizer or VQGAN in ``source``; see `titok.models.hub.load`."""
    model = load(source, config=config, device=device)
    if not isinstance(model, ImageTokenizer):
        raise WeightsError(f"{source} holds a {type(model).__name__}; a tokenizer or a VQGAN is needed")
    refuse_broken_latents(model)
    return model


def refuse_broken_latents(model: ImageTokenizer) -> None:
    """Of latents that are no numbers the nearest code would be the first one; from now on they are an error."""

    def require_numbers(quantizer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        if not torch.isfinite(arguments[0]).all():
            raise WeightsError(
                f"{type(model).__name__} gave latents that are no finite numbers, so they have no ids; look at the "
                f"training's log, or try --precision fp32"
            )

    quantizer = getattr(model, "quantize", None)
    if isinstance(quantizer, nn.Module):
        quantizer.register_forward_pre_hook(require_numbers)


def image_side(model: ImageTokenizer, wanted: int | None) -> int:
    """Side of the images that ``model`` takes; ``wanted`` counts for those that take any, as a VQGAN does."""
    only = model.facts.image_size
    if only is None:
        return wanted or VQGAN_SIDE
    if wanted not in (None, only):
        raise ImageFileError(f"--size is {wanted}, but this tokenizer takes {only} pixels; leave it")
    return only


def finished_pixels(images: Tensor, rounding: Rounding, model: object) -> np.ndarray:
    """(B, H, W, 3) uint8 of decoded images (B, 3, H, W); raises when they are no finite numbers."""
    if not torch.isfinite(images).all():
        raise WeightsError(f"{type(model).__name__} gave images that are no finite numbers; try --precision fp32")
    return to_uint8(images, rounding).permute(0, 2, 3, 1).contiguous().cpu().numpy()
