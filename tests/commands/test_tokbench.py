"""TokBench's folders: names and sizes as its scripts read them, pictures through the square and back.

Run: pytest tests/commands/test_tokbench.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from models.toy_tokenizer import Toy, ToyModel
from PIL import Image

import titok
from titok.cli import main
from titok.evaluation.tokbench import placed, taken_out


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two data sets of text and one of faces, in shapes of their own."""
    draws = np.random.default_rng(0)
    sizes = {"text_data/ic13/a.jpg": (40, 20), "text_data/tt/b.png": (16, 48), "face_data/wflw/c.jpg": (16, 16)}
    for name, (width, height) in sizes.items():
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True)
        Image.fromarray(draws.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    return tmp_path / "images"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from titok.models.folder import KINDS, Kind

    monkeypatch.setitem(KINDS, "toy", Kind(ToyModel, Toy))
    torch.manual_seed(0)
    titok.save(Toy(ToyModel(image_size=16, block=4, codebook_size=8)), tmp_path / "model", layout="own")
    return tmp_path / "model"


def test_names_and_sizes_are_the_originals(pictures: Path, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "toy"
    command = ["tokbench", str(pictures), "--model", str(model), "--output", str(output), "--device", "cpu"]
    main(command)
    written = {str(file.relative_to(output)): Image.open(file).size for file in output.rglob("*.*")}
    assert written == {
        "text_data/ic13_16/a.jpg": (40, 20),
        "text_data/tt_16/b.png": (16, 48),
        "face_data/wflw_16/c.jpg": (16, 16),
    }
    with pytest.raises(SystemExit, match="are there already"):
        main(command)
    main([*command, "--overwrite"])


def test_a_folder_without_its_data_sets_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="no data sets in text_data or face_data"):
        main(["tokbench", str(tmp_path / "empty"), "--model", str(model), "--output", str(tmp_path / "out")])


@pytest.mark.parametrize(
    ("size", "box"),
    [((40, 20), (0, 4, 16, 12)), ((16, 48), (5, 0, 11, 16)), ((3, 3), (0, 0, 16, 16)), ((16, 15), (0, 0, 16, 15))],
)
def test_pictures_fit_a_black_square(size: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    """A width of 16 * 16 / 48 = 5.3 pixels becomes 6, and 10 pixels left beside it 5 on its left."""
    where = placed(Image.new("RGB", size, (255, 255, 255)), 16)
    assert (where.box, where.size) == (box, size)
    left, top, right, bottom = box
    white = where.square.sum(axis=2) > 0
    assert white[top:bottom, left:right].all()
    assert white.sum() == (right - left) * (bottom - top)
    back = taken_out(where.square, where)
    assert back.size == size
    assert np.asarray(back).min() == 255
