"""Unpacked folders of images: ``<split>/<class>/<file>``, the layout most people have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from titok.config.data import FolderSource
from titok.data.names import IMAGE_SUFFIXES, is_hidden, is_image_name, name_sample
from titok.data.plan import Listing, SourceError
from titok.runtime.progress import progress


def list_folder(source: FolderSource, split: str) -> Listing:
    """Every image of a split; classes are those of the training split, numbered in the order of their names."""
    root = Path(source.root).expanduser()
    folders = {"train": root / source.train, "test": root / source.test}
    return list_classes(folders[split], class_names=subfolders(folders["train"]))


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted; hidden ones are passed over."""
    return sorted(entry.name for entry in _entries(folder) if entry.is_dir() and not is_hidden(entry.name))


def list_classes(folder: Path, class_names: list[str]) -> Listing:
    """Every image of ``folder/<class>/``; raises ``SourceError`` for a folder that is no class."""
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
    _refuse_loose_files(folder, listing)
    return listing


def image_files(folder: Path, listing: Listing) -> Iterator[os.DirEntry[str]]:
    """Files of one folder, sorted by name; hidden ones are noted as ignored, what is no image is an error."""
    for entry in sorted(_entries(folder), key=lambda entry: entry.name):
        if is_hidden(entry.name):
            listing.ignored.append(f"{folder.name}/{entry.name}")
        elif not entry.is_file():
            raise SourceError(f"{entry.path} is no file; a class's folder holds images and nothing else")
        elif not is_image_name(entry.name):
            raise SourceError(f"{entry.path} is no image by its name; allowed: {', '.join(IMAGE_SUFFIXES)}; remove it")
        else:
            yield entry


def _refuse_loose_files(folder: Path, listing: Listing) -> None:
    for entry in _entries(folder):
        if is_hidden(entry.name):
            listing.ignored.append(entry.name)
        elif not entry.is_dir():
            raise SourceError(f"{entry.path} lies beside the classes' folders; move it into the one of its class")


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise SourceError(f"{folder} cannot be listed ({error.strerror}); correct the path in the study") from error
