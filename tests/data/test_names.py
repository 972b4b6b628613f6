"""Keys: official names stay, others are made safe and stay apart.

Run: pytest tests/data/test_names.py
"""

from __future__ import annotations

import re

import pytest

from titok.data.names import is_hidden, is_image_name, name_sample
from titok.data.shard_file import KEY


@pytest.mark.parametrize(
    ("file_name", "class_name", "key", "wnid"),
    [
        ("n01440764_10026.JPEG", "n01440764", "n01440764_10026", "n01440764"),
        ("n01440764_10026_n01440764.JPEG", None, "n01440764_10026", "n01440764"),
        ("ILSVRC2012_val_00000293.JPEG", "n01440764", "ILSVRC2012_val_00000293", None),
        ("ILSVRC2012_val_00000293_n01440764.JPEG", None, "ILSVRC2012_val_00000293", "n01440764"),
        ("n01443537_900000cmyk.JPEG", "n01443537", "n01443537_900000cmyk", None),
        ("n01443537_900000cmyk.JPEG", None, "n01443537_900000cmyk", None),
        ("n01443537_9.JPEG", "n01440764", "n01443537_9", "n01443537"),
        ("n01443537x.JPEG", "n01440764", "n01440764_n01443537x", None),
        ("cat_1.jpg", "cat", "cat_cat_1", None),
        ("0001.jpg", "airplane", "airplane_0001", None),
        ("photo.png", None, "photo", None),
    ],
)
def test_names_tell_keys_and_classes(file_name, class_name, key, wnid):
    assert name_sample(file_name, class_name) == (key, wnid)


@pytest.mark.parametrize(
    ("file_name", "start"),
    [
        ("my cat (2).jpg", "cats_my-cat-2--"),
        ("ä.jpg", "cats_--"),
        ("a.b.c.jpg", "cats_a-b-c-"),
        (f"{'x' * 90}.jpg", f"cats_{'x' * 66}-"),
        ("\udce4.jpg", "cats_--"),
    ],
)
def test_unsafe_names_become_safe_and_keep_apart(file_name, start):
    key = name_sample(file_name, "cats").key
    assert KEY.fullmatch(key)
    assert re.fullmatch(rf"{re.escape(start)}[0-9a-f]{{8}}", key)
    assert key != name_sample(f"{file_name[:-4]}_.jpg", "cats").key


def test_different_unsafe_names_have_different_keys():
    names = ["a b.jpg", "a  b.jpg", "a-b.jpg", "a+b.jpg", "a/b.jpg"]
    assert len({name_sample(name, "ü ü").key for name in names}) == len(names)


def test_a_name_of_nothing_safe_is_its_digest():
    assert re.fullmatch(r"[0-9a-f]{8}", name_sample("ä.jpg").key)


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        (".ipynb_checkpoints", True),
        ("._a.jpg", True),
        ("Thumbs.db", True),
        ("cat/thumbs.DB", True),
        ("DESKTOP.INI", True),
        ("@eaDir", True),
        ("n01440764/@eaDir/a.JPEG/SYNOPHOTO_THUMB_M.jpg", True),
        ("__MACOSX/._a.JPEG", True),
        ("./a.jpg", False),
        ("../a.jpg", False),
        ("thumbs.jpg", False),
        ("desktop.ini.png", False),
    ],
)
def test_names_of_operating_systems_are_known(name, hidden):
    assert is_hidden(name) is hidden


def test_hidden_files_and_image_names():
    assert [is_hidden(name) for name in (".DS_Store", "a/._b.JPEG", "a.jpg")] == [True, True, False]
    assert [is_image_name(name) for name in ("a.JPEG", "a.jpg", "b.PNG", "a.webp", "jpeg")] == [
        True,
        True,
        True,
        False,
        False,
    ]
