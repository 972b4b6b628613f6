"""A miniature of ImageNet in every form it is handed out, from the same image files."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
PHOTOGRAPHS = ROOT / "tests" / "golden" / "preprocessing"
"""Three CC0 photographs, one of them grey."""
REASON = "a miniature made for a test"


@dataclass(frozen=True)
class Miniature:
    """Image files with the names and classes that the official archives would give them."""

    train: dict[str, dict[str, bytes]]
    """WordNet id -> file name -> bytes."""
    val: list[tuple[str, bytes]]
    """(WordNet id, bytes) of validation image 1, 2, ..."""

    @property
    def wnids(self) -> list[str]:
        return sorted(self.train)

    @property
    def devkit_order(self) -> list[str]:
        """Classes as the devkit numbers them from 1: not sorted."""
        return sorted(self.train, key=lambda wnid: hashlib.sha1(wnid.encode()).digest())


def encoded(
    seed: int, image_format: str = "JPEG", mode: str = "RGB", size: tuple[int, int] = (9, 7), **options: object
) -> bytes:
    """A small image file of noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(stream, format=image_format, **options)
    return stream.getvalue()


def rotated(seed: int) -> bytes:
    """A JPEG whose EXIF data ask for a rotation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(seed, exif=exif)


def synthetic(classes: int = 4, per_class: int = 5, val: int = 8) -> Miniature:
    """Noise, with one of every oddity in the first class."""
    odd = [encoded(1, mode="L"), encoded(2, mode="CMYK"), encoded(3, "PNG"), rotated(4), encoded(5, "PNG", "P")]
    wnids = [f"n0{1440764 + 3157 * number}" for number in range(classes)]
    train = {
        # Numbers of different length: the order of names is not the order of numbers.
        wnid: {f"{wnid}_{7 ** (image % 5 + 1)}.JPEG": encoded(100 * number + image) for image in range(per_class)}
        for number, wnid in enumerate(wnids)
    }
    train[wnids[0]] = dict(zip(train[wnids[0]], [*odd, *train[wnids[0]].values()], strict=False))
    labels = [wnids[(3 * number + 1) % classes] for number in range(val)]
    return Miniature(train, [(wnid, encoded(9000 + number)) for number, wnid in enumerate(labels)])


def photographs(classes: int = 40) -> Miniature:
    """Pieces of photographs of all shapes, two per class, one of them again for validation."""
    wholes = [Image.open(path) for path in sorted(PHOTOGRAPHS.glob("*.jpg"))]
    files = [_piece(wholes[number % len(wholes)], number) for number in range(2 * classes)]
    wnids = [f"n0{1440764 + 3157 * number}" for number in range(classes)]
    train = {
        wnid: {f"{wnid}_{10000 + number}.JPEG": files[number], f"{wnid}_{900 + number}.JPEG": files[classes + number]}
        for number, wnid in enumerate(wnids)
    }
    return Miniature(train, [(wnid, data) for wnid, data in reversed(list(zip(wnids, files[:classes], strict=True)))])


def _piece(whole: Image.Image, seed: int) -> bytes:
    """A JPEG of a part of a photograph, drawn by ``seed``."""
    draws = np.random.default_rng(seed)
    sides = [int(draws.integers(side // 3, side)) for side in whole.size]
    left, top = (int(draws.integers(0, whole.size[axis] - sides[axis] + 1)) for axis in (0, 1))
    stream = io.BytesIO()
    whole.crop((left, top, left + sides[0], top + sides[1])).save(stream, format="JPEG", quality=int(90 + seed % 9))
    return stream.getvalue()


def tar_of(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A tar as GNU tar makes it, padded with empty blocks."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(data), 1_340_000_000, 0o644
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def official(root: Path, images: Miniature) -> dict[str, object]:
    """The three archives; returns the section `dataset`."""
    root.mkdir(parents=True)
    inner = [(f"{wnid}.tar", tar_of(reversed(images.train[wnid].items()))) for wnid in images.devkit_order]
    (root / "ILSVRC2012_img_train.tar").write_bytes(tar_of(inner))
    val = [(f"ILSVRC2012_val_{number:08d}.JPEG", data) for number, (_, data) in enumerate(images.val, start=1)]
    (root / "ILSVRC2012_img_val.tar").write_bytes(tar_of(val))
    (root / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(devkit(images))
    names = {"train": "ILSVRC2012_img_train.tar", "val": "ILSVRC2012_img_val.tar"}
    paths = {role: str(root / name) for role, name in {**names, "devkit": "ILSVRC2012_devkit_t12.tar.gz"}.items()}
    sums = {role: hashlib.md5(Path(path).read_bytes()).hexdigest() for role, path in paths.items()}
    override = {role: {"reason": REASON, "md5": md5} for role, md5 in sums.items()}
    return {
        "kind": "imagenet",
        "num_classes": len(images.train),
        "imagenet": {**paths, "checksum_override": override},
    }


def devkit(images: Miniature) -> bytes:
    """A devkit with these classes, an inner node above them, and the labels of the validation images."""
    from scipy.io import savemat

    order = images.devkit_order
    fields = [("ILSVRC2012_ID", object), ("WNID", object), ("words", object), ("num_children", object)]
    synsets = np.zeros(len(order) + 1, dtype=fields)
    for place, wnid in enumerate(order):
        synsets[place] = (place + 1, wnid, f"words of {wnid}", 0)
    synsets[-1] = (len(order) + 1, "n00001740", "entity", len(order))
    meta = io.BytesIO()
    savemat(meta, {"synsets": synsets[:, None]})
    truth = "".join(f"{order.index(wnid) + 1}\n" for wnid, _ in images.val)
    folder = "ILSVRC2012_devkit_t12"
    files = [
        (f"{folder}/readme.txt", b"about"),
        (f"{folder}/data/ILSVRC2012_validation_ground_truth.txt", truth.encode()),
        (f"{folder}/data/meta.mat", meta.getvalue()),
    ]
    return gzip.compress(tar_of(files), mtime=0)


def kaggle(root: Path, images: Miniature) -> dict[str, object]:
    """Kaggle's folders and table of labels."""
    folder = root / "ILSVRC" / "Data" / "CLS-LOC"
    _write_classes(folder / "train", images)
    (folder / "val").mkdir()
    rows = []
    for number, (wnid, data) in enumerate(images.val, start=1):
        name = f"ILSVRC2012_val_{number:08d}"
        (folder / "val" / f"{name}.JPEG").write_bytes(data)
        rows.append((name, f"{wnid} 1 2 30 40 {wnid} 5 6 7 8"))
    with (root / "LOC_val_solution.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("ImageId", "PredictionString"), *reversed(rows)])
    return {"kind": "imagenet", "num_classes": len(images.train), "imagenet": {"kaggle": str(root)}}


def folder(root: Path, images: Miniature) -> dict[str, object]:
    """An unpacked folder, as the usual scripts leave it."""
    _write_classes(root / "train", images)
    for number, (wnid, data) in enumerate(images.val, start=1):
        place = root / "val" / wnid
        place.mkdir(parents=True, exist_ok=True)
        (place / f"ILSVRC2012_val_{number:08d}.JPEG").write_bytes(data)
    return {"kind": "folder", "num_classes": len(images.train), "folder": {"root": str(root), "test": "val"}}


def parquet(root: Path, images: Miniature, files: int = 3) -> dict[str, object]:
    """Files as the datasets library writes them: shuffled rows, the class behind the name."""
    root.mkdir(parents=True)
    train = [
        (f"{name[:-5]}_{wnid}.JPEG", data, wnid) for wnid in images.wnids for name, data in images.train[wnid].items()
    ]
    val = [(f"ILSVRC2012_val_{n:08d}_{wnid}.JPEG", data, wnid) for n, (wnid, data) in enumerate(images.val, start=1)]
    for split, rows in (("train", train), ("validation", val)):
        shuffled = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
        for number in range(files):
            write_parquet(root / f"{split}-{number:05d}-of-{files:05d}.parquet", shuffled[number::files], images.wnids)
    patterns = {"train": str(root / "train-*.parquet"), "test": str(root / "validation-*.parquet")}
    return {"kind": "parquet", "num_classes": len(images.train), "parquet": patterns}


def write_parquet(path: Path, rows: list[tuple[str | None, bytes, str]], wnids: list[str], group: int = 3) -> None:
    """One file with small row groups; ``rows`` are (name or None, bytes, WordNet id)."""
    import pyarrow
    from pyarrow.parquet import write_table

    table = pyarrow.table(
        {
            "image": [{"bytes": data, "path": name} for name, data, _ in rows],
            "label": [wnids.index(wnid) for _, _, wnid in rows],
        }
    )
    write_table(table, path, row_group_size=group)


FORMS = {"official": official, "kaggle": kaggle, "folder": folder, "parquet": parquet}


def _write_classes(place: Path, images: Miniature) -> None:
    for wnid, files in images.train.items():
        (place / wnid).mkdir(parents=True)
        for name, data in files.items():
            (place / wnid / name).write_bytes(data)
