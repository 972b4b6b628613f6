"""The digits dataset: lossless, stratified, the same every time, and readable at every crop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from titok.config.data import Dataset
from titok.data.images import load_images
from titok.data.shards import ShardReader
from titok.data.sources.digits import MARGIN, prepare_digits, stratified_test_split

SIDE = 8 + 2 * MARGIN


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("digits")
    prepare_digits(directory, Dataset())
    return directory


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    return load_digits()


@pytest.mark.parametrize(("split", "count"), [("train", 1297), ("test", 500)])
def test_grey_levels_are_kept(directory, digits, split, count):
    with ShardReader(directory, split) as reader:
        assert len(reader) == count
        for index in range(0, count, 50):
            original = int(reader.keys[index].removeprefix("digit-"))
            values = np.asarray(reader.image(index))
            assert values.shape == (SIDE, SIDE, 3)
            inner = values[MARGIN:-MARGIN, MARGIN:-MARGIN, 0]
            np.testing.assert_array_equal(np.rint(inner / 255 * 16), digits.images[original])
            assert values.sum() == 3 * int(inner.sum())  # The margin is background, the channels are equal.
            assert reader.labels[index] == digits.target[original]


def test_splits_are_disjoint_and_complete(directory):
    keys = {split: set(ShardReader(directory, split).keys) for split in ("train", "test")}
    assert not keys["train"] & keys["test"]
    assert len(keys["train"] | keys["test"]) == 1797


@pytest.mark.parametrize("test_images", [10, 499, 500, 1000])
def test_classes_have_their_share(digits, test_images):
    is_test = stratified_test_split(digits.target, test_images, seed=0)
    assert is_test.sum() == test_images
    shares = np.bincount(digits.target) * test_images / 1797
    assert abs(np.bincount(digits.target[is_test]) - shares).max() < 1


def test_split_seed_decides(digits):
    splits = [stratified_test_split(digits.target, 500, seed) for seed in (0, 0, 1)]
    assert (splits[0] == splits[1]).all()
    assert (splits[0] != splits[2]).any()


def test_the_split_is_pinned(directory):
    """Fails when the stored dataset changes: numbers of older runs could not be compared any more."""
    assert ShardReader(directory, "test").fingerprint.startswith("6033721be4ef0e05")
    assert ShardReader(directory, "train").fingerprint.startswith("3c53f761c8015619")


def test_no_stroke_is_lost_at_any_crop(directory):
    """Each of the nine 16-pixel windows keeps nearly all ink of every digit (without the margin: down to 71 %)."""
    images = load_images(directory, "test", 18).pixels[:, 0].float()
    ink = images.sum((1, 2))
    kept = torch.stack(
        [images[:, top : top + 16, left : left + 16].sum((1, 2)) / ink for top in range(3) for left in range(3)]
    )
    assert kept.min() > 0.94


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resize": 15}, "resize is 15, smaller than image_size 16"),
        ({"num_classes": 12}, "num_classes is 12, but kind 'digits' has 10"),
        ({"test_images": 1797}, "test_images is 1797; allowed for kind 'digits': 10 to 1000"),
        ({"kind": "mnist"}, "digits"),
        ({"crop": 3}, "crop"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        Dataset(**settings)
