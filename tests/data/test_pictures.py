"""Pictures of more than 8 bits: scaled where the file says what is white, refused where it does not.

Run: pytest tests/data/test_pictures.py
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from titok.data.pictures import PictureError, is_deep, narrow_range, to_rgb

RAMP = np.arange(65536, dtype=np.uint16).reshape(256, 256)


def reopened(array: np.ndarray, image_format: str) -> Image.Image:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format=image_format)
    return Image.open(stream)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_greys_of_16_bits_are_scaled_and_rounded(image_format):
    image = reopened(RAMP, image_format)
    assert is_deep(image)
    found = np.asarray(to_rgb(image))
    assert found.shape == (256, 256, 3)
    np.testing.assert_array_equal(found, np.round(RAMP / 257)[..., None].repeat(3, axis=-1))


def test_big_endian_greys_are_scaled(tmp_path):
    header = b"MM\0*\0\0\0\x08\0\x08" + b"".join(
        tag.to_bytes(2) + b"\0\x03\0\0\0\x01" + value.to_bytes(2) + b"\0\0"
        for tag, value in ((256, 4), (257, 1), (258, 16), (259, 1), (262, 1), (273, 110), (278, 1), (279, 8))
    )
    (tmp_path / "a.tif").write_bytes(
        (header + bytes(4)).ljust(110, b"\0") + np.array([0, 257, 32896, 65535], ">u2").tobytes()
    )
    image = Image.open(tmp_path / "a.tif")
    assert image.mode == "I;16B"
    assert np.asarray(to_rgb(image))[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (
            np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4),
            r"floating-point numbers \(from 0 to 1\).*convert it to 8",
        ),
        (np.arange(16, dtype=np.int32).reshape(4, 4), r"whole numbers of 32 bits \(from 0 to 15\).*convert it to 8"),
        (np.full((4, 4), -3e4, np.float32), r"\(from -30000 to -30000\)"),
    ],
)
def test_numbers_without_a_white_are_refused(array, words):
    with pytest.raises(PictureError, match=words):
        to_rgb(reopened(array, "TIFF"))


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK"])
def test_everything_else_is_pillows_own_conversion(mode):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)).convert(mode)
    assert not is_deep(image)
    np.testing.assert_array_equal(np.asarray(to_rgb(image)), np.asarray(image.convert("RGB")))


def png_of_16_bits(values: np.ndarray) -> bytes:
    """A PNG of uint16 (H, W), (H, W, 3) or (H, W, 4); Pillow writes no colours of 16 bits."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    kind = {2: 0, 3: 2, 4: 6}[values.ndim if values.ndim == 2 else values.shape[2]]
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        file += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return file


@pytest.mark.parametrize("kind", ["grey", "colour", "clear"])
@pytest.mark.parametrize(("white", "narrow"), [(4095, True), (4096, False), (65535, False), (0, True)])
def test_pictures_of_12_bits_are_known(kind, white, narrow):
    values = np.linspace(0, white, 256).round().astype(np.uint16).reshape(16, 16)
    if kind != "grey":
        values = values[..., None].repeat(3, axis=-1)
    if kind == "clear":
        values = np.concatenate([values, np.full((16, 16, 1), 65535, np.uint16)], axis=-1)
    with Image.open(io.BytesIO(png_of_16_bits(values))) as image:
        found = narrow_range(image)
        to_rgb(image)
    highest = white if kind == "grey" else white | 255  # of colours the lower bits are gone
    assert found == ((0, highest) if narrow else None)


def test_pictures_of_8_bits_may_be_dark():
    assert narrow_range(reopened(np.full((8, 8), 3, np.uint8), "PNG")) is None
    assert narrow_range(reopened(np.full((8, 8, 3), 3, np.uint8), "PNG")) is None
