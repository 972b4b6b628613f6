"""Single rows of arrays in archives: the right ones, and nothing else is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from titok.runtime.files import FileError, save_npz
from titok.runtime.npz_rows import mapped_array, read_rows, read_shape


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


def test_a_mapped_array_is_the_array_and_stays_on_the_disk(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 2**16, (50, 3, 7)).astype(np.uint16)
    save_npz(tmp_path / "a.npz", before=np.arange(5), tokens=array, after=np.zeros(3))
    found = mapped_array(tmp_path / "a.npz", "tokens")
    assert type(found) is np.ndarray
    assert isinstance(found.base, np.memmap)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(mapped_array(tmp_path / "a.npz", "before"), np.arange(5))


@pytest.mark.parametrize("kind", ["compressed", "by columns", "empty"])
def test_what_cannot_be_mapped_is_loaded(tmp_path: Path, kind: str) -> None:
    array = np.arange(12).reshape(3, 4)
    if kind == "compressed":
        np.savez_compressed(tmp_path / "a.npz", tokens=array)
    else:
        array = np.asfortranarray(array) if kind == "by columns" else array[:0]
        save_npz(tmp_path / "a.npz", tokens=array)
    np.testing.assert_array_equal(mapped_array(tmp_path / "a.npz", "tokens"), array)


def test_an_altered_array_is_not_mapped(tmp_path: Path) -> None:
    save_npz(tmp_path / "a.npz", tokens=np.full(1000, 7, np.uint16), after=np.zeros(3))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[content.index(b"\x07\x00\x07\x00") + 900] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(FileError, match=r"no readable array tokens \(Bad CRC-32"):
        mapped_array(tmp_path / "a.npz", "tokens")
