"""Unpacked folders of images: ``<split>/<class>/<file>``, the layout most people have."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from titok.config.data_sources import FolderSource
from titok.data.names import IMAGE_SUFFIXES, is_image_name, is_side_file, name_sample
from titok.data.plan import Listing, SourceError, name_of
from titok.data.sources.source import Forms, ImageSource, SourceImages
from titok.runtime.progress import progress
from titok.runtime.system_names import is_hidden

ELSEWHERE = "remove it (of data that you may not change, link the images into a folder of your own)"
"""What to do about a file that does not belong where it is."""


def list_folder(source: FolderSource, split: str) -> Listing:
    """Every image of a split; classes are those of the training split, numbered in the order of their names."""
    root = Path(source.root).expanduser()
    folders = {"train": root / source.train, "test": root / source.test}
    return list_classes(folders[split], class_names=subfolders(folders["train"]))


def count_folder(source: FolderSource, split: str, enough: int) -> int:
    """Files that look like images of a split, by their names alone, or ``enough`` as soon as there are so many.

    Raises:
        SourceError: a folder cannot be listed.
    """
    root = Path(source.root).expanduser() / getattr(source, split)
    images = (file for name in subfolders(root) for file in image_files(root / name, Listing("files", [], [])))
    return sum(1 for _ in islice(images, enough))


class FolderImages(SourceImages):
    """Files by their name below the one folder of the plan."""

    def read(self, row: np.void) -> bytes:
        try:
            return (Path(self.plan.files[0]) / name_of(row)).read_bytes()
        except OSError as error:
            raise SourceError(
                f"{self.plan.where(row)} cannot be read ({error.strerror}); put it back, or run `titok prepare plan`"
            ) from error


class Folder(ImageSource[FolderSource]):
    """A folder per class."""

    forms: ClassVar[Forms] = {"files": FolderImages}

    def listing(self, split: str) -> Listing:
        return list_folder(self.settings, split)

    def count(self, split: str, enough: int) -> int:
        return count_folder(self.settings, split, enough)


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted; hidden ones are passed over."""
    return sorted(entry.name for entry in _entries(folder) if _kind(entry) == "folder" and not is_hidden(entry.name))


def list_classes(folder: Path, class_names: list[str]) -> Listing:
    """Every image of ``folder/<class>/``; raises ``SourceError`` for a folder that is no class.

    Files that do not belong there are noted in ``refused``, all of them.
    """
    labels = {name: label for label, name in enumerate(class_names)}
    unknown = sorted(set(subfolders(folder)) - labels.keys())
    if unknown:
        raise SourceError(f"{folder / unknown[0]} is no class of the training split ({len(unknown)} such folder(s))")
    listing = Listing("files", [str(folder)], class_names)
    with progress(len(labels), desc=f"list {folder.name}", unit="class") as bar:
        for name, label in labels.items():
            if (folder / name).is_dir():
                for file in image_files(folder / name, listing):
                    key = name_sample(file.name, name).key
                    listing.add(key, f"{name}/{file.name}", label, length=file.stat().st_size)
            bar.update()
    _note_loose_files(folder, listing)
    return listing


def image_files(folder: Path, listing: Listing) -> Iterator[os.DirEntry[str]]:
    """Files of one folder, sorted by name; hidden ones are noted as ignored, what is no image is refused."""
    for entry in sorted(_entries(folder), key=lambda entry: entry.name):
        kind = _kind(entry)
        if is_hidden(entry.name):
            listing.ignored.append(f"{folder.name}/{entry.name}")
        elif kind == "dangling":
            listing.refuse(_dangling(entry))
        elif kind != "file":
            listing.refuse(f"{entry.path} is no file; a class's folder holds images and nothing else; {ELSEWHERE}")
        elif not is_image_name(entry.name):
            allowed = ", ".join(IMAGE_SUFFIXES)
            listing.refuse(f"{entry.path} is no image by its name; allowed: {allowed}; convert it, or {ELSEWHERE}")
        else:
            yield entry


def _note_loose_files(folder: Path, listing: Listing) -> None:
    """What lies beside the classes: lists and labels are ignored, an image would be lost without a word."""
    for entry in sorted(_entries(folder), key=lambda entry: entry.name):
        kind = _kind(entry)
        if is_hidden(entry.name) or (kind == "file" and is_side_file(entry.name)):
            listing.ignored.append(entry.name)
        elif kind == "dangling":
            listing.refuse(_dangling(entry))
        elif kind != "folder":
            listing.refuse(
                f"{entry.path} lies beside the classes' folders; move it into the one of its class, or {ELSEWHERE}"
            )


def _kind(entry: os.DirEntry[str]) -> Literal["file", "folder", "dangling", "other"]:
    """What a name stands for, links followed."""
    with contextlib.suppress(OSError):  # Links in a circle.
        if entry.is_file():
            return "file"
        if entry.is_dir():
            return "folder"
    return "dangling" if entry.is_symlink() else "other"


def _dangling(entry: os.DirEntry[str]) -> str:
    return f"{entry.path} is a dangling link: {os.readlink(entry.path)} does not exist; mend the link, or {ELSEWHERE}"


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise SourceError(f"{folder} cannot be listed ({error.strerror}); correct the path in the study") from error
