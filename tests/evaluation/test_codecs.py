"""JPEG and WebP as references: what comes back, and the bits it took.

Run: pytest tests/evaluation/test_codecs.py
"""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from titok.evaluation.codecs import CodecRoundTrip
from titok.metrics.pixel import psnr


def photographs(count: int = 3, side: int = 48) -> torch.Tensor:
    """Smooth colours with an edge: (B, 3, H, W) in multiples of 1/255."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    images = [np.stack([rows, columns, (rows + columns > 0.3 * (index + 1))]) for index in range(count)]
    return torch.from_numpy(np.stack(images) * 255).round().float() / 255


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_a_round_trip_is_pillows_and_its_bits_are_the_files(codec: str) -> None:
    images = photographs()
    round_trip = CodecRoundTrip(codec, 50)  # type: ignore[arg-type]
    restored, tokens, _ = round_trip(images)
    assert tokens is None
    sizes = []
    for image, found in zip(images, restored, strict=True):
        pixels = (image.permute(1, 2, 0) * 255).round().byte().numpy()
        file = io.BytesIO()
        options = {"subsampling": "4:2:0", "optimize": True} if codec == "jpeg" else {"method": 6}
        Image.fromarray(pixels).save(file, format=codec, quality=50, **options)
        sizes.append(8 * len(file.getvalue()))
        expected = torch.from_numpy(np.asarray(Image.open(file).convert("RGB"))).permute(2, 0, 1) / 255
        assert torch.equal(found, expected)
    assert round_trip.bits_per_image == pytest.approx(np.mean(sizes))


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_more_quality_takes_more_bits_and_gives_more_back(codec: str) -> None:
    images = photographs()
    found = []
    for quality in (5, 50, 95):
        round_trip = CodecRoundTrip(codec, quality)  # type: ignore[arg-type]
        restored = round_trip(images).images
        found.append((round_trip.bits_per_image, float(psnr(restored, images, data_range=1).mean())))
    bits, fidelity = zip(*found, strict=True)
    assert sorted(bits) == list(bits)
    assert sorted(fidelity) == list(fidelity)
