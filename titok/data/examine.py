"""Decodes an image to learn what is special about it, and whether it can be decoded at all.

Decoding follows the official pipeline (specification 9): Pillow, converted to RGB, EXIF orientation ignored. So nothing
found here is repaired; it is counted, listed and, where no pixels come out, refused.
"""

from __future__ import annotations

import io
import re
import warnings
from pathlib import PurePosixPath
from typing import NamedTuple

from PIL import Image

from titok.data.pictures import is_deep, is_strip, narrow_range, to_rgb
from titok.data.shard_file import EXTENSIONS, ImageHeader, header_of
from titok.data.shard_index import ShardError
from titok.errors import TitokError

ODDITIES = {
    "greyscale": "one channel; becomes three equal ones",
    "cmyk": "four printing colours; Pillow's conversion to RGB",
    "other_mode": "neither RGB nor grey nor CMYK (palette, alpha); Pillow's conversion to RGB",
    "sixteen_bit": "more than 8 bits a channel; greys are scaled, 65535 to 255, colours lose their lower bits",
    "dark_sixteen_bit": "16 bits a channel, of which the lower 12 alone are used; nearly black, for white is 65535",
    "strip": "one edge is more than a hundred times the other; windows show next to nothing of it",
    "misnamed_format": "the content is of another format than the name says, e.g. a PNG called .JPEG; read as it is",
    "several_pictures": "a JPEG with further pictures behind the first, which alone is read",
    "exif_orientation": "EXIF asks for a rotation, which is not done",
    "decoder_warning": "Pillow decodes it with a warning, e.g. about damaged EXIF data",
}
"""What is counted: name -> what it means and what happens to such images."""

_ADDRESS = re.compile(r" ?<[^<>]* at 0x[0-9a-fA-F]+>")
"""An object in the words of an error: where it lay in memory is different in every run."""
_ORIENTATION = 0x0112
_SUFFIXES = {"jpg": (".jpg", ".jpeg", ".jpe", ".jfif"), "png": (".png",)}


class UndecodableError(TitokError):
    """An image file from which no pixels come out."""


class Examined(NamedTuple):
    """What decoding told."""

    header: ImageHeader
    oddities: tuple[str, ...]
    """Keys of ``ODDITIES``."""


def examine(data: bytes, name: str) -> Examined:
    """Decodes the image file ``data``, called ``name`` by its source; raises ``UndecodableError`` if that fails."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            with Image.open(io.BytesIO(data)) as image:
                header = header_of(name, image)
                orientation, deep = _orientation(image), is_deep(image)
                narrow = narrow_range(image)  # before decoding, which forgets how many bits there were
                to_rgb(image)
        except ShardError as error:
            raise UndecodableError(str(error)) from error
        except MemoryError:
            raise
        except Exception as error:  # Damaged files fail in many ways inside Pillow: OSError, SyntaxError, struct.error.
            raise UndecodableError(f"{type(error).__name__}: {_ADDRESS.sub('', str(error))}") from error
    found = {
        "greyscale": header.mode == "L",
        "cmyk": header.mode == "CMYK",
        "other_mode": header.mode not in ("RGB", "L", "CMYK") and not deep,
        "sixteen_bit": deep,
        "dark_sixteen_bit": narrow is not None,
        "strip": is_strip(header.width, header.height),
        "misnamed_format": PurePosixPath(name).suffix.lower() not in ("", *_SUFFIXES[EXTENSIONS[header.format]]),
        "several_pictures": header.format == "MPO",
        "exif_orientation": orientation not in (None, 1),
        "decoder_warning": bool(warned) or orientation is None,
    }
    return Examined(header, tuple(oddity for oddity in ODDITIES if found[oddity]))


def _orientation(image: Image.Image) -> int | None:
    """EXIF's orientation, 1 is upright; None when the EXIF data are damaged, which does not keep pixels from coming."""
    if "exif" not in image.info:
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # Damaged EXIF data fail in as many ways as damaged images.
        return None
