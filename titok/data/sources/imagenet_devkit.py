"""The devkit of ILSVRC2012: which classes there are, and which of them every validation image belongs to.

It numbers the classes 1 to 1000 in an order of its own. Everyone else counts from 0 in the order of the WordNet ids.
Mixing the two up is a mistake that no error ever reports, so it is converted here and nowhere else.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from titok.data.archives import AGAIN, scan_tar
from titok.data.names import WNID
from titok.data.plan import SourceError
from titok.errors import DataError

GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def devkit_labels(archive: bytes, where: str) -> tuple[list[str], np.ndarray]:
    """(WordNet ids in their order, class (N,) of every validation image) from the devkit's bytes.

    The devkit numbers the 1000 classes 1 to 1000 in its own order and lists those numbers, image by image.
    """
    files = _devkit_files(archive, where)
    number_of = _class_numbers(files["meta.mat"], where)
    wnids = sorted(number_of)
    standard = {number_of[wnid]: label for label, wnid in enumerate(wnids)}
    truth = files[GROUND_TRUTH].decode("ascii", "replace").split()
    foreign = [number for number in truth if not number.isdigit() or int(number) not in standard]
    if foreign:
        raise SourceError(f"{where}: {GROUND_TRUTH} has the class {foreign[0]!r}; allowed: 1 to {len(wnids)}")
    return wnids, np.array([standard[int(number)] for number in truth], dtype=np.int64)


class _Bytes:
    """A reader of what is in memory already."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.size, self._data = path, len(data), data

    def read(self, position: int, length: int) -> bytes:
        return self._data[position : position + length]


def _devkit_files(archive: bytes, where: str) -> dict[str, bytes]:
    """The two files with labels, by base name."""
    try:
        tar = _Bytes(Path(where), gzip.decompress(archive))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{where} cannot be unpacked ({error}); {AGAIN}") from error
    wanted = ("meta.mat", GROUND_TRUTH)
    members = {PurePosixPath(member.name).name: member for member in scan_tar(tar)}
    missing = [name for name in wanted if name not in members]
    if missing:
        raise SourceError(f"{where} has no file {', no '.join(missing)}; is it ILSVRC2012_devkit_t12.tar.gz?")
    return {name: tar.read(members[name].offset, members[name].length) for name in wanted}


def _class_numbers(meta: bytes, where: str) -> Mapping[str, int]:
    """WordNet id -> the devkit's number, for classes without subclasses: those that images have."""
    from scipy.io import loadmat

    try:
        synsets = np.atleast_1d(loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"])
        rows = [(str(row["WNID"]), int(row["ILSVRC2012_ID"]), int(row["num_children"])) for row in synsets]
    except Exception as error:  # A damaged file fails in many ways inside SciPy.
        raise SourceError(f"{where}: meta.mat cannot be read ({type(error).__name__}: {error})") from error
    numbers = {wnid: number for wnid, number, children in rows if children == 0}
    if sorted(numbers.values()) != list(range(1, len(numbers) + 1)) or not all(map(WNID.fullmatch, numbers)):
        raise SourceError(f"{where}: the {len(numbers)} classes of meta.mat are not numbered from 1 without gaps")
    return numbers
