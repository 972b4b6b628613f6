"""ILSVRC2012 in the forms it is handed out: the official archives, or Kaggle's folders.

Classes are numbered 0 to 999 in the order of their WordNet ids everywhere here. The devkit has an order of its own,
1 to 1000, which `titok.data.sources.imagenet_devkit` converts.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np

from titok.config.data_sources import Archive, ImageNetSource
from titok.data.archives import AGAIN, Member, Reader, open_archive, scan_tar
from titok.data.checksums import Published, verified
from titok.data.names import is_image_name, name_sample
from titok.data.plan import Listing, Plan, SourceError
from titok.data.sources.folder import FolderImages, image_files, list_classes, subfolders
from titok.data.sources.imagenet_devkit import devkit_labels
from titok.data.sources.source import Forms, ImageSource, SourceImages
from titok.errors import DataError
from titok.runtime.system_names import is_hidden

OFFICIAL: dict[Archive, Published] = {
    "train": Published("ILSVRC2012_img_train.tar", "1d675b47d978889d74fa0da5fadfb00e"),
    "val": Published("ILSVRC2012_img_val.tar", "29b22e2961454d5413ddabcf34fc5622"),
    "devkit": Published("ILSVRC2012_devkit_t12.tar.gz", "fa75699e90414af021442c21a62c3abf"),
}

KAGGLE_IMAGES = Path("ILSVRC") / "Data" / "CLS-LOC"
KAGGLE_LABELS = "LOC_val_solution.csv"


def list_imagenet(source: ImageNetSource, split: str) -> Listing:
    """Every image of a split, with its class; of some classes alone where the source names them."""
    listing = _list_all(source, split)
    if source.classes is not None:
        listing.check()
        listing.keep(sorted(source.classes))
    return listing


def _list_all(source: ImageNetSource, split: str) -> Listing:
    if source.kaggle is not None:
        return _list_kaggle(Path(source.kaggle).expanduser(), split)
    return _list_train(source) if split == "train" else _list_val(source)


class _ArchiveImages(SourceImages):
    """Bytes by their position in an archive."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._descriptors: list[int] = []
        plan.require_unchanged()
        self._descriptors += [open_archive(Path(path)) for path in plan.files]

    def read(self, row: np.void) -> bytes:
        length = int(row["length"])
        data = os.pread(self._descriptors[row["file"]], length, int(row["offset"]))
        if len(data) < length:
            raise DataError(
                f"{self.plan.where(row)} needs {length} bytes, {len(data)} are there; the archive was cut short after "
                f"the plan was made: {AGAIN}, then run `titok prepare plan`"
            )
        return data

    def __del__(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())


class ImageNet(ImageSource[ImageNetSource]):
    """Archives or folders."""

    forms: ClassVar[Forms] = {"archive": _ArchiveImages, "files": FolderImages}

    def listing(self, split: str) -> Listing:
        return list_imagenet(self.settings, split)


def _list_train(source: ImageNetSource) -> Listing:
    wnids, _, sources = _devkit(source)
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    path = _path(source, "train")
    listing = Listing("archive", [str(path)], wnids, sources)
    with _verified(source, "train", sources) as reader:
        for outer in _visible(scan_tar(reader), listing):
            wnid = PurePosixPath(outer.name).name.removesuffix(".tar")
            if wnid not in labels or not outer.name.endswith(".tar"):
                raise SourceError(
                    f"{path}: member {outer.name!r} is no archive of one of the devkit's {len(wnids)} classes"
                )
            inner = scan_tar(reader, outer.offset, outer.offset + outer.length, outer.name)
            for image in _visible(inner, listing, outer.name):
                _add(listing, image, labels[wnid], outer.name)
    return listing


def _list_val(source: ImageNetSource) -> Listing:
    wnids, truth, sources = _devkit(source)
    path = _path(source, "val")
    listing = Listing("archive", [str(path)], wnids, sources)
    numbers = set()
    with _verified(source, "val", sources) as reader:
        for image in _visible(scan_tar(reader), listing):
            number = _val_number(image.name, f"{path}: member {image.name!r}")
            if not 1 <= number <= len(truth):
                raise SourceError(f"{path}: {image.name} has no label; the devkit lists {len(truth)} images")
            _add(listing, image, int(truth[number - 1]))
            numbers.add(number)
    listing.check()
    if len(numbers) != len(truth):
        missing = next(number for number in range(1, len(truth) + 1) if number not in numbers)
        raise SourceError(
            f"{path} has {len(numbers)} of the {len(truth)} images that the devkit lists; missing, for one, is number "
            f"{missing}"
        )
    return listing


def _list_kaggle(root: Path, split: str) -> Listing:
    images = root / KAGGLE_IMAGES
    wnids = subfolders(images / "train")
    if split == "train":
        return list_classes(images / "train", wnids)
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    class_of = _kaggle_classes(root / KAGGLE_LABELS)
    listing = Listing("files", [str(images / "val")], wnids)
    for file in image_files(images / "val", listing):
        wnid = class_of.pop(PurePosixPath(file.name).stem, None)
        if wnid not in labels:
            listing.refuse(f"{file.path} has the class {wnid!r} in {KAGGLE_LABELS}, which the training images lack")
            continue
        listing.add(name_sample(file.name).key, file.name, labels[wnid], length=file.stat().st_size)
    listing.check()
    if class_of:
        raise SourceError(f"{images / 'val'} lacks {len(class_of)} images of {KAGGLE_LABELS}, such as {min(class_of)}")
    return listing


def _kaggle_classes(path: Path) -> dict[str, str]:
    """Validation image -> WordNet id; the table also holds boxes, the class comes first."""
    try:
        with path.open(newline="") as stream:
            return {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(stream)}
    except (OSError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise SourceError(
            f"{path} cannot be read ({error!r}); it must have the columns ImageId and PredictionString"
        ) from error


def _path(source: ImageNetSource, role: Archive) -> Path:
    return Path(str(getattr(source, role))).expanduser()


def _devkit(source: ImageNetSource) -> tuple[list[str], np.ndarray, list[dict[str, Any]]]:
    sources: list[dict[str, Any]] = []
    with _verified(source, "devkit", sources) as reader:
        data = reader.read(0, reader.size)
    wnids, truth = devkit_labels(data, str(reader.path))
    return wnids, truth, sources


@contextmanager
def _verified(source: ImageNetSource, role: Archive, sources: list[dict[str, Any]]) -> Iterator[Reader]:
    """An archive to read in order; at the end its MD5 is checked and it is noted for the manifest."""
    setting = f"dataset.imagenet.checksum_override: {{{role}: {{reason: ...}}}}"
    override = source.checksum_override.get(role)
    with verified(_path(source, role), role, OFFICIAL[role], override, setting) as (reader, note):
        yield reader
    sources.append(note)


def _visible(members: Iterator[Member], listing: Listing, where: str = "") -> Iterator[Member]:
    for member in members:
        if is_hidden(member.name):
            listing.ignored.append(f"{where}/{member.name}" if where else member.name)
        else:
            yield member


def _add(listing: Listing, image: Member, label: int, where: str = "") -> None:
    name = f"{where}/{image.name}" if where else image.name
    if not is_image_name(image.name):
        listing.refuse(f"{listing.files[0]}: member {name!r} is no image by its name")
    key = name_sample(PurePosixPath(image.name).name).key
    listing.add(key, name, label, offset=image.offset, length=image.length)


def _val_number(name: str, where: str) -> int:
    key = name_sample(PurePosixPath(name).name).key
    number = key.removeprefix("ILSVRC2012_val_")
    if number == key or not number.isdigit():
        raise SourceError(f"{where} is called unlike any validation image (ILSVRC2012_val_00000001.JPEG)")
    return int(number)
