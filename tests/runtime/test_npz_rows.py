"""Single rows of arrays in archives: the right ones, and nothing else is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from titok.runtime.files import FileError, save_npz
from titok.runtime.npz_rows import read_rows, read_shape


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64])
def test_rows_are_those_of_the_array(tmp_path: Path, dtype: type) -> None:
    array = np.arange(7 * 5 * 3).reshape(7, 5, 3).astype(dtype)
    save_npz(tmp_path / "a.npz", first=np.zeros(3), images=array)
    assert read_shape(tmp_path / "a.npz", "images") == ((7, 5, 3), np.dtype(dtype))
    found = read_rows(tmp_path / "a.npz", "images", [6, 0, 3])
    assert found.dtype == dtype
    assert (found == array[[6, 0, 3]]).all()
    assert read_rows(tmp_path / "a.npz", "images", []).shape == (0, 5, 3)


def test_numpys_own_archives_can_be_read_too(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(4, 2))
    np.savez_compressed(tmp_path / "b.npz", images=array)
    assert (read_rows(tmp_path / "b.npz", "images", [2]) == array[[2]]).all()


@pytest.mark.parametrize(
    ("name", "rows", "words"), [("other", [0], "no readable array other"), ("images", [4], "has 4 rows")]
)
def test_what_is_not_there_is_named(tmp_path: Path, name: str, rows: list[int], words: str) -> None:
    save_npz(tmp_path / "a.npz", images=np.zeros((4, 2)))
    with pytest.raises(FileError, match=words):
        read_rows(tmp_path / "a.npz", name, rows)


def test_arrays_by_columns_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", images=np.asfortranarray(np.zeros((4, 2))))
    with pytest.raises(FileError, match="stored by columns"):
        read_rows(tmp_path / "c.npz", "images", [0])
