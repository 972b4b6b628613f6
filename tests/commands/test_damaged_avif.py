"""Decoders that fail with other errors than `OSError`: damaged AVIF files are named, not shown as tracebacks.

Run: pytest tests/commands/test_damaged_avif.py
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from titok.commands.image_files import ImageFileError, read_image


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_damaged_files_are_named(tmp_path: Path) -> None:
    stream = io.BytesIO()
    draws = np.random.default_rng(0)
    Image.fromarray(draws.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(stream, "AVIF")
    whole, refused, by_runtime_error = stream.getvalue(), 0, 0
    for trial in range(60):
        damaged = bytearray(whole)
        for place in draws.integers(0, len(damaged), 1 + trial // 10):
            damaged[place] ^= 0xFF
        path = tmp_path / "a.avif"
        path.write_bytes(damaged[: len(damaged) - trial])
        try:
            read_image(path)
        except ImageFileError as error:
            refused += str(path) in str(error)
            by_runtime_error += isinstance(error.__cause__, RuntimeError)
    assert refused > 10
    assert by_runtime_error > 0


def test_an_error_of_any_decoder_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")

    def fail(self: Image.Image, mode: str) -> Image.Image:
        raise RuntimeError("Failed to decode frame 0")

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(ImageFileError, match=r"a\.png is no readable image \(Failed to decode frame 0\)"):
        read_image(tmp_path / "a.png")
