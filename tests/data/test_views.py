"""Views: the declared windows, in the usual order, and random ones that depend on view and image number alone.

Run: pytest tests/data/test_views.py
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from titok.config.data import Dataset
from titok.config.views import ProxyCodes, StoredCodes, ViewSet
from titok.data.transforms import Crop
from titok.data.views import views_of
from titok.errors import DataError

TEN = views_of(ViewSet(crops="five", mirrored=True))
RANDOM = views_of(ViewSet(crops="none", random_crops=3, seed=5))


def splitmix64(seed: int, count: int) -> list[int]:
    """Reference: the sequential generator, in Python's integers."""
    mask, state, found = 2**64 - 1, seed, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & mask
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
        found.append(mixed ^ (mixed >> 31))
    return found


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["centre"]),
        ({"mirrored": True}, ["centre", "centre mirrored"]),
        ({"crops": "none", "random_crops": 2}, ["random 0", "random 1"]),
        ({"random_crops": 1}, ["centre", "random 0"]),
    ],
)
def test_declared_views_have_names(settings: dict[str, object], names: list[str]) -> None:
    assert [view.name for view in views_of(ViewSet.model_validate(settings))] == names


def test_ten_crop_is_that_of_torchvision() -> None:
    """Which mirrors the image before it crops, so its second five come in another order."""
    from torchvision.transforms.functional import ten_crop

    image = torch.arange(3 * 10 * 12).reshape(3, 10, 12)
    found = []
    for view in TEN:
        top, left, flip = view.crop_of(12, 10, 6, sample=4)
        window = image[:, top : top + 6, left : left + 6]
        found.append(window.flip(-1) if flip else window)
    for number, expected in zip([0, 1, 2, 3, 4, 6, 5, 8, 7, 9], ten_crop(image, 6), strict=True):
        assert torch.equal(found[number], expected), TEN[number].name


def test_random_windows_are_drawn_as_documented() -> None:
    from titok.runtime.seed import derive_seed

    outputs = splitmix64(derive_seed(5, "view", 1), 3 * 8)
    for sample in range(8):
        top, left, flip = (output >> 11 for output in outputs[3 * sample : 3 * sample + 3])
        expected = Crop(top * (20 - 6 + 1) >> 53, left * (31 - 6 + 1) >> 53, flip < 2**52)
        assert RANDOM[1].crop_of(31, 20, 6, sample) == expected


def test_any_subset_in_any_order_has_the_same_windows() -> None:
    samples = np.array([70_000, 3, 1_281_166, 0])
    for view in (*TEN, *RANDOM):
        top, left, flip = view.crops_of(40, 30, 16, samples)
        found = [Crop(int(t), int(x), bool(f)) for t, x, f in zip(top, left, flip, strict=True)]
        assert found == [view.crop_of(40, 30, 16, int(sample)) for sample in samples]


def test_random_windows_are_uniform_and_independent() -> None:
    count = 60_000
    top, left, flip = RANDOM[0].crops_of(20, 18, 16, np.arange(count))
    joint = np.bincount((top * 5 + left) * 2 + flip, minlength=3 * 5 * 2)
    assert len(joint) == 30
    assert np.sum((joint - count / 30) ** 2 / (count / 30)) < 58.3, "chi-squared of 29 degrees, 0.1 %"
    others = RANDOM[1].crops_of(20, 18, 16, np.arange(count))
    assert abs(np.corrcoef(left, others.left)[0, 1]) < 0.02
    assert np.mean(top == others.top) == pytest.approx(1 / 3, abs=0.02)


def test_random_windows_are_mirrored_only_when_asked() -> None:
    (view,) = views_of(ViewSet(crops="none", random_crops=1, random_flip=False))
    assert not view.crops_of(20, 18, 16, np.arange(1000)).flip.any()
    assert view.spec()["mirrored"] is False


def test_specs_tell_views_apart() -> None:
    views = [*TEN, *RANDOM, *views_of(ViewSet(crops="none", random_crops=1, seed=6))]
    specs = [view.spec() for view in views]
    assert all(specs.count(spec) == 1 for spec in specs)


def test_a_window_larger_than_the_image_is_refused() -> None:
    for view in (TEN[0], RANDOM[0]):
        with pytest.raises(DataError, match="crop is 17, larger than the 20 x 16 pixels"):
            view.crop_of(20, 16, 17, 0)


def test_settings_without_a_view_or_with_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError, match="leaves no view; allowed: crops 'centre' or 'five'"):
        ViewSet(crops="none")
    with pytest.raises(ValidationError, match="ten_crop"):
        ViewSet.model_validate({"ten_crop": True})


def test_windows_must_fit_the_resized_images() -> None:
    dataset = Dataset(resize=18, image_size=16)
    assert StoredCodes().framing(dataset) == (18, "official", 16)
    assert StoredCodes(resize=20, resize_rule="adm").framing(dataset) == (20, "adm", 16)
    with pytest.raises(ValueError, match=r"proxy_codes\.resize is 15, smaller than dataset\.image_size 16"):
        StoredCodes(resize=15).check(dataset)


def test_the_number_of_jobs_is_nothing_that_codes_depend_on() -> None:
    assert ProxyCodes(jobs=8, part_images=10).stored() == StoredCodes(part_images=10)
