"""What decoding tells of an image: its header, its oddities, and whether pixels come out.

Run: pytest tests/data/test_examine.py
"""

from __future__ import annotations

import io

import numpy as np
import pytest
from data.miniature import encoded, rotated
from PIL import Image

from titok.data.examine import ODDITIES, UndecodableError, examine


@pytest.mark.parametrize(
    ("data", "name", "oddities"),
    [
        (encoded(0), "a.JPEG", ()),
        (encoded(0, "PNG"), "a.png", ()),
        (encoded(0, mode="L"), "a.JPEG", ("greyscale",)),
        (encoded(0, mode="CMYK"), "a.jpg", ("cmyk",)),
        (encoded(0, "PNG", "P"), "a.png", ("other_mode",)),
        (encoded(0, "PNG", "RGBA"), "a.JPEG", ("other_mode", "misnamed_format")),
        (encoded(0, "PNG", "I;16"), "a.png", ("sixteen_bit", "dark_sixteen_bit")),
        (encoded(0, "PNG"), "n02105855_2933.JPEG", ("misnamed_format",)),
        (encoded(0), "a.png", ("misnamed_format",)),
        (encoded(0, "PNG"), "row-00000-00000-000000", ()),
        (rotated(0), "a.JPEG", ("exif_orientation",)),
        (encoded(0, exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01"), "a.JPEG", ("decoder_warning",)),
    ],
)
def test_oddities_are_told(data, name, oddities):
    examined = examine(data, name)
    assert examined.oddities == oddities
    assert set(oddities) <= ODDITIES.keys()
    assert (examined.header.width, examined.header.height) == (9, 7)


@pytest.mark.parametrize(("size", "strip"), [((300, 3), False), ((301, 3), True), ((1, 101), True), ((1, 1), False)])
def test_strips_are_told(size, strip):
    assert examine(encoded(0, size=size), "a.JPEG").oddities == (("strip",) if strip else ())


def test_a_jpeg_with_several_pictures_is_a_jpeg():
    first, second = (Image.fromarray(np.full((7, 9, 3), value, np.uint8)) for value in (10, 200))
    stream = io.BytesIO()
    first.save(stream, format="MPO", save_all=True, append_images=[second])
    examined = examine(stream.getvalue(), "a.jpg")
    assert examined.oddities == ("several_pictures",)
    assert examined.header.extension == "jpg"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cannot identify image file"),
        (b"no image", "cannot identify image file"),
        (encoded(0, size=(64, 64))[:-900], "truncated"),
        (encoded(0, "PNG", size=(64, 64))[:-900], "truncated|broken"),
        (encoded(0, "BMP"), "is a BMP image; allowed: JPEG, PNG"),
        (encoded(0, "WEBP"), "is a WEBP image; allowed: JPEG, PNG"),
    ],
)
def test_images_without_pixels_are_refused(data, words):
    with pytest.raises(UndecodableError, match=words):
        examine(data, "a.JPEG")


def test_a_decompression_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(UndecodableError, match="DecompressionBombError"):
        examine(encoded(0), "a.JPEG")


@pytest.mark.parametrize("data", [b"no image", b"", b"\x89PNG\r\n\x1a\n"])
def test_reasons_are_the_same_in_every_run(data):
    """No ``<_io.BytesIO object at 0x7f...>``: manifests of two runs must not differ."""
    with pytest.raises(UndecodableError) as caught:
        examine(data, "a.JPEG")
    assert str(caught.value) == "UnidentifiedImageError: cannot identify image file"
