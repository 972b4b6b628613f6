"""Image grids: the right images in the right places, enlarged without smoothing, labels at the left, bad input named.

Run: pytest tests/reporting/test_pictures.py
"""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from titok.config.figure_settings import Samples
from titok.errors import ScoreError
from titok.reporting.figures.figure import Sources
from titok.reporting.figures.gallery import make_figure
from titok.reporting.figures.image_grid import GAP, tile
from titok.reporting.figures.reconstructions import reconstructions
from titok.reporting.figures.samples import samples
from titok.runtime.files import save_npz


@pytest.fixture
def example_files(images, tmp_path):
    """One npz per row: originals and darkened copies."""
    paths = []
    for index in range(3):
        path = tmp_path / f"examples{index}.npz"
        stacked = np.stack([images, images // (index + 2)])
        save_npz(path, images=stacked, row_labels=np.array(["original", f"t{index}"]))
        paths.append(path)
    return paths


@pytest.fixture
def sample_file(images, tmp_path):
    path = tmp_path / "samples.npz"
    save_npz(path, arr_0=images.repeat(2, axis=0), labels=np.arange(10).repeat(8))
    return path


def test_tile_places_and_repeats_pixels(images):
    rows = [images[:3], images[3:6]]
    canvas, pitch = tile(rows, smallest_side=48)
    assert pitch == 48 + GAP
    assert canvas.shape == (2 * pitch, 3 * pitch, 3)
    for row in range(2):
        for column in range(3):
            shown = canvas[row * pitch : row * pitch + 48, column * pitch : column * pitch + 48]
            assert (shown[::3, ::3] == rows[row][column]).all()
            assert (shown[1::3, 2::3] == rows[row][column]).all()
    assert (canvas[48:pitch] == 255).all()


def test_large_images_are_not_enlarged():
    canvas, pitch = tile([np.zeros((1, 64, 64, 3), np.uint8)])
    assert canvas.shape == (64 + GAP, 64 + GAP, 3)
    assert pitch == 64 + GAP


def test_reconstructions(reporting, example_files, tmp_path):
    svg, png, csv = make_figure("reconstructions", reporting, tmp_path / "r", Sources(images=example_files))
    texts = ["".join(node.itertext()) for node in ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert "test images, each above its reconstructions" in texts
    assert [text for text in texts if text.startswith(("original", "TiTok"))] == [
        "original",
        "TiTok-L-2",
        "TiTok-B-4",
        "TiTok-S-8",
    ]
    assert next(ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}image")) is not None
    index = pd.read_csv(csv)
    assert index["label"].value_counts().to_dict() == {"original": 6, "TiTok-L-2": 6, "TiTok-B-4": 6, "TiTok-S-8": 6}
    assert Image.open(png).size[0] > 200


def test_samples_show_the_first_of_each_class(reporting, sample_file, tmp_path):
    svg, _, csv = make_figure("samples", reporting, tmp_path / "s", Sources(images=[sample_file]))
    index = pd.read_csv(csv)
    assert index.groupby("label").size().to_dict() == {f"class {label}": 5 for label in range(10)}
    texts = {"".join(node.itertext()) for node in ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert {f"class {label}" for label in range(10)} <= texts


def test_too_few_samples_are_refused(reporting, sample_file):
    greedy = reporting.figures.samples.model_copy(update={"per_class": 9})
    with pytest.raises(ScoreError, match=r"class 0 has 8 samples, 9 are wanted"):
        samples(greedy, sample_file)


def test_bad_arrays_are_refused(reporting, images, example_files, tmp_path):
    wanted = reporting.figures.reconstructions
    with pytest.raises(ScoreError, match="3 rows of reconstructions are wanted, 2 files"):
        reconstructions(wanted, example_files[:2])
    save_npz(tmp_path / "float.npz", images=np.zeros((2, 3, 8, 8, 3)))
    with pytest.raises(ScoreError, match=r"float\.npz: images is float64"):
        reconstructions(wanted, [tmp_path / "float.npz", *example_files[1:]])
    save_npz(tmp_path / "other.npz", something=images)
    with pytest.raises(ScoreError, match=r"other\.npz: holds something, but no images"):
        reconstructions(wanted, [tmp_path / "other.npz", *example_files[1:]])
    save_npz(tmp_path / "shifted.npz", images=np.stack([images[::-1], images]))
    with pytest.raises(ScoreError, match=r"shifted\.npz: its originals are not those of"):
        reconstructions(wanted, [example_files[0], tmp_path / "shifted.npz", example_files[2]])


def test_chosen_classes_stand_in_their_order_under_their_names(sample_file):
    wanted = Samples(generator="g", sampler="s", per_class=2, classes={7: "seven", 1: "one"})
    data = samples(wanted, sample_file).data
    assert list(data["label"]) == ["seven", "seven", "one", "one"]


def test_a_class_without_samples_is_named(sample_file):
    wanted = Samples(generator="g", sampler="s", per_class=2, classes={12: "twelve"})
    with pytest.raises(ScoreError, match="class 12 has 0 samples, 2 are wanted"):
        samples(wanted, sample_file)
