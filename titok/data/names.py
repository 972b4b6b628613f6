"""What samples are called: the same image has the same key, whatever form its dataset came in."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath
from typing import NamedTuple

from titok.data.shard_file import KEY
from titok.data.shard_index import MAX_KEY_LENGTH
from titok.runtime.system_names import is_hidden as is_hidden

WNID = re.compile(r"n\d{8}")
"""WordNet's number of a class of ImageNet."""

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".jpe", ".jfif", ".png")
"""What image files end with, in small letters."""

_LISTS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".log", ".md5", ".sha256")
"""What files about images end with: lists, labels, sums."""

_OFFICIAL = re.compile(r"((?:(n\d{8})_\d+)|ILSVRC2012_(?:val|test)_\d{8})(?:_(n\d{8}))?")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class Name(NamedTuple):
    """What a file name says."""

    key: str
    wnid: str | None
    """The class in an official name of ImageNet: in front in training images, behind in Hugging Face's copy."""


def name_sample(file_name: str, class_name: str | None = None) -> Name:
    """The key of an image file.

    Files of ImageNet keep their official name (``n01440764_10026``, ``ILSVRC2012_val_00000293``), without the class
    that some copies append to it. Others are ``<class>_<file>`` without ending (a WordNet id that is in front already
    is not put there twice); where that is no safe key, what is unsafe becomes ``-`` and eight digits of the whole
    name's SHA-1 keep it unique.
    """
    stem = PurePosixPath(file_name).stem
    official = _OFFICIAL.fullmatch(stem)
    if official:
        return Name(official[1], official[2] or official[3])
    named = class_name is None or (WNID.fullmatch(class_name) and stem.startswith(f"{class_name}_"))
    plain = stem if named else f"{class_name}_{stem}"
    return Name(plain if KEY.fullmatch(plain) else with_digest(plain, plain), None)


def is_official(key: str) -> bool:
    """Whether a key is ImageNet's own name of an image, of which there is one."""
    return bool(_OFFICIAL.fullmatch(key))


def with_digest(plain: str, whole: str) -> str:
    """A key like ``plain`` that no image but the one called ``whole`` has: it ends in eight digits of a SHA-1."""
    digest = hashlib.sha1(whole.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    safe = _UNSAFE.sub("-", plain).lstrip("-_")[: MAX_KEY_LENGTH - 9]
    return f"{safe}-{digest}" if safe else digest


def is_side_file(file_name: str) -> bool:
    """Whether a file tells about images by its name: lists, labels, sums."""
    return file_name.lower().endswith(_LISTS)


def is_image_name(file_name: str) -> bool:
    """Whether a name ends like an image's; what is inside is another question."""
    return file_name.lower().endswith(IMAGE_SUFFIXES)
