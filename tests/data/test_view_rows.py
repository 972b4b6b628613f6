"""Rows of every view of every image: all of them, in files that go on where they stopped.

Run: pytest tests/data/test_view_rows.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from titok.config.views import ViewSet
from titok.data import view_rows
from titok.data.images import ImageSet
from titok.data.transforms import from_uint8
from titok.data.view_rows import remove_rows, rows_of_views
from titok.data.views import views_of

PIXELS = torch.randint(0, 256, (10, 3, 6, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
IMAGES = ImageSet(PIXELS, torch.arange(10) % 3, np.array([f"{n}" for n in range(10)]), "made up")
VIEWS = views_of(ViewSet(crops="centre", mirrored=True))


def sums(images: torch.Tensor) -> torch.Tensor:
    """(B, 3, 4, 4) -> 8 numbers."""
    return images.reshape(len(images), 6, 8).sum(dim=1)


def stored(path: Path, rows_of: Callable = sums, of: str = "a", batch_size: int = 4) -> np.ndarray:
    shape = {"crop": 4, "batch_size": batch_size, "desc": "rows"}
    return rows_of_views(path, {"model": of}, IMAGES, VIEWS, rows_of, np.float32, **shape)


@pytest.mark.parametrize("batch_size", [1, 4, 10])
def test_every_view_of_every_image_is_stored(tmp_path: Path, batch_size: int) -> None:
    rows = stored(tmp_path / "f", batch_size=batch_size)
    centres = from_uint8(PIXELS[:, :, 1:5, 1:5])
    expected = [sums(windows.contiguous()) for windows in (centres, centres.flip(-1))]
    assert rows.shape == (2, 10, 8)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, torch.stack(expected))
    remove_rows(tmp_path / "f")
    assert not list(tmp_path.iterdir())


def test_a_pass_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_rows, "_SECONDS", -1.0)
    seen = 0

    def stops(images: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        if seen >= 13:
            raise KeyboardInterrupt
        seen += len(images)
        return sums(images)

    with pytest.raises(KeyboardInterrupt):
        stored(tmp_path / "f", stops)
    done = json.loads((tmp_path / "f.json").read_text())["done"]
    assert done == 14  # batches of 4, 4, 2 of the first view, 4 of the second
    encoded = []

    def counts(images: torch.Tensor) -> torch.Tensor:
        encoded.append(len(images))
        return sums(images)

    resumed = stored(tmp_path / "f", counts)
    assert sum(encoded) == 20 - done
    np.testing.assert_array_equal(resumed, stored(tmp_path / "whole"))
    stored(tmp_path / "f", counts)
    assert sum(encoded) == 20 - done, "a finished file is used as it is"


def test_rows_of_something_else_are_made_anew(tmp_path: Path) -> None:
    stored(tmp_path / "f")
    doubled = stored(tmp_path / "f", lambda images: 2 * sums(images), of="b")
    np.testing.assert_allclose(doubled, 2 * stored(tmp_path / "other"))
