"""CIFAR-10 from the archive that its authors hand out for C programs: `cifar-10-binary.tar.gz`.

Six files of records, each a byte for the class and 3 x 32 x 32 bytes of pixels, channel by channel. The archive for
Python has the same images as pickles; those can run code when they are opened, and nothing here opens them.
Images are called by their split and their number there, in the order of the files, as every other reader counts them.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np

from titok.config.data_sources import Cifar10Source
from titok.data.archives import Member, Reader, UnpackingReader, scan_tar
from titok.data.checksums import Published, verified
from titok.data.plain_png import plain_png
from titok.data.plan import Listing, Plan, SourceError
from titok.data.sources.source import Forms, ImageSource, SourceImages

ARCHIVE = Published("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530")
SIDE = 32
RECORD = 1 + 3 * SIDE * SIDE
"""Bytes of one image with its class."""
FILES = {"train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test": ("test_batch.bin",)}
CLASS_NAMES = "batches.meta.txt"


def list_cifar10(source: Cifar10Source, split: str) -> Listing:
    """Every image of a split; positions are those in the unpacked tar."""
    path = Path(source.archive).expanduser()
    with UnpackingReader(path) as unpacked:
        members = _members(unpacked)
        setting = "dataset.cifar10.checksum_override: {reason: ...}"
        with verified(path, "archive", ARCHIVE, source.checksum_override, setting) as (_, note):
            pass
        names = unpacked.read(*members[CLASS_NAMES][1:]).decode("utf-8", "replace").split()
        listing = Listing("cifar10", [str(path)], names, [note])
        number = 0
        for file in FILES[split]:
            _, start, length = members[file]
            if length % RECORD:
                raise SourceError(f"{path}: {file} has {length} bytes, which is no multiple of {RECORD}, one image")
            classes = unpacked.read(start, length)[::RECORD]
            for row, label in enumerate(classes):
                name = f"{PurePosixPath(file).stem}/{row}"
                listing.add(f"{split}-{number:05d}", name, label, offset=start + row * RECORD, length=RECORD)
                number += 1
    return listing


class _Records(SourceImages):
    """PNG files of images by their position in the unpacked tar."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        plan.require_unchanged()
        self._unpacked = UnpackingReader(Path(plan.files[0]))

    def read(self, row: np.void) -> bytes:
        record = np.frombuffer(self._unpacked.read(int(row["offset"]), RECORD), dtype=np.uint8)
        return plain_png(np.ascontiguousarray(record[1:].reshape(3, SIDE, SIDE).transpose(1, 2, 0)))


class Cifar10(ImageSource[Cifar10Source]):
    """The archive."""

    forms: ClassVar[Forms] = {"cifar10": _Records}

    def listing(self, split: str) -> Listing:
        return list_cifar10(self.settings, split)


def _members(unpacked: Reader) -> dict[str, Member]:
    """The files by base name; all that are needed are there."""
    members = {PurePosixPath(member.name).name: member for member in scan_tar(unpacked)}
    if "data_batch_1" in members:
        raise SourceError(
            f"{unpacked.path} is the archive for Python, whose files are pickles: they can run code when they are "
            f"opened; fetch {ARCHIVE.name}, which has the same images as plain bytes"
        )
    missing = [name for files in (*FILES.values(), (CLASS_NAMES,)) for name in files if name not in members]
    if missing:
        raise SourceError(f"{unpacked.path} has no file {', no '.join(missing)}; is it {ARCHIVE.name}?")
    return members
