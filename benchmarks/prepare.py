"""Times preparation on one core, and beside it what it cannot be faster than: reading and decoding the same images.

An archive of archives is made from photographs (or noise), once per number of images. `plan` is compared with the MD5
of the file, `part` with a bare loop that reads every image at its place and decodes it with Pillow; the two are timed
in turns. Run it while nothing else does.

  python -m benchmarks.prepare --photographs photographs.tar
  python -m benchmarks.prepare --images 200 400                noise, two sizes
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import shutil
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.measure import write_report
from titok.config.data import Preparation
from titok.data.archives import HashingReader, scan_tar
from titok.data.names import name_sample
from titok.data.plan import Listing, Plan, make_plan, save_plan
from titok.data.prepare import merge_split
from titok.data.shard_task import workspace
from titok.data.shard_workers import write_shards

CLASSES = 20
SOURCE = {"train": "train.tar", "val": "none", "devkit": "none"}


def main() -> None:
    """Runs what the options ask for."""
    options = parse_options()
    pictures = photographs(options.photographs) if options.photographs else noise(100)
    rows = []
    print(
        f"{'what':28s} {'images':>7s} {'seconds':>9s} {'images/s':>9s} {'MB/s':>8s} {'of the floor':>12s} "
        f"{'peak MiB':>9s}"
    )
    for count in options.images:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            rows += measure(Path(name), pictures, count, options.repeats)
    write_report(options, torch.device("cpu"), {"rows": rows})


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.prepare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photographs", type=Path, help="tar of image files to repeat (default: noise of 500 x 375)")
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 2000, 4000], help="default: 1000 2000 4000")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, help="where to work, e.g. a disk to measure (default: the temporary one)"
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/prepare.json"), help="JSON file to write")
    return parser.parse_args()


def measure(folder: Path, pictures: list[bytes], count: int, repeats: int) -> list[dict[str, Any]]:
    """All steps on an archive of ``count`` images."""
    archive = write_archive(folder / "train.tar", pictures, count)
    config = Preparation(kind="imagenet", num_classes=CLASSES, imagenet=SOURCE)
    output = folder / "output"
    plan = make_plan(list_archive(archive), config, "train")
    save_plan(workspace(output), plan)
    numbers = range(plan.num_shards)

    def part() -> None:
        shutil.rmtree(output)
        save_plan(workspace(output), plan)
        write_shards(output, plan, numbers)

    size, image_bytes = archive.stat().st_size, int(plan.rows["length"].sum())
    sums = in_turns(lambda: file_md5(archive), lambda: make_plan(list_archive(archive), config, "train"), repeats)
    parts = in_turns(lambda: decode_all(plan), part, repeats)
    merging = in_turns(lambda: None, lambda: merge_split(config, output, "train"), repeats)[1]
    return [
        row("MD5 of the archive", count, size, sums[0], None),
        row("plan", count, size, sums[1], sums[0]),
        row("read and decode", count, image_bytes, parts[0], None),
        row("part", count, image_bytes, parts[1], parts[0]),
        row("merge", count, image_bytes, merging, None),
    ]


def write_archive(path: Path, pictures: list[bytes], count: int) -> Path:
    """A tar of one tar per class, as the official archive is built."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as outer:
        for label in range(CLASSES):
            stream = io.BytesIO()
            with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as inner:
                for image in range(label, count, CLASSES):
                    add(inner, f"{wnid(label)}_{image}.JPEG", pictures[image % len(pictures)])
            add(outer, f"{wnid(label)}.tar", stream.getvalue())
    return path


def wnid(label: int) -> str:
    """A class's name."""
    return f"n{1440764 + label:08d}"


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """One member."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def list_archive(path: Path) -> Listing:
    """What `titok prepare plan` does with the training archive, without the devkit."""
    listing = Listing("archive", [str(path)], [wnid(label) for label in range(CLASSES)])
    labels = {name: label for label, name in enumerate(listing.class_names)}
    with HashingReader(path) as reader:
        for outer in scan_tar(reader):
            label = labels[outer.name.removesuffix(".tar")]
            for image in scan_tar(reader, outer.offset, outer.offset + outer.length, outer.name):
                key = name_sample(image.name).key
                listing.add(key, f"{outer.name}/{image.name}", label, offset=image.offset, length=image.length)
        md5 = reader.md5()
    listing.sources.append({"file": path.name, "bytes": path.stat().st_size, "md5": md5})
    return listing


def decode_all(plan: Plan) -> None:
    """The floor of a part: every image read where it lies and decoded to RGB, nothing else."""
    descriptor = os.open(plan.files[0], os.O_RDONLY)
    for row_ in plan.rows:
        data = os.pread(descriptor, int(row_["length"]), int(row_["offset"]))
        Image.open(io.BytesIO(data)).convert("RGB")
    os.close(descriptor)


def file_md5(path: Path) -> None:
    """The floor of a plan."""
    with path.open("rb") as stream:
        hashlib.file_digest(stream, "md5")


def in_turns(floor: Callable[[], object], work: Callable[[], object], repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of both, timed alternately after one run each that fills the page cache."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats + 1):
        for times, run in zip(seconds, (floor, work), strict=True):
            started = time.perf_counter()
            run()
            if repeat:
                times.append(time.perf_counter() - started)
    return seconds


def row(what: str, images: int, size: int, seconds: list[float], floor: list[float] | None) -> dict[str, Any]:
    """One line of the table, printed."""
    median = statistics.median(seconds)
    found = {
        "what": what,
        "images": images,
        "bytes": size,
        "seconds": float(f"{median:.5g}"),
        "fastest": float(f"{min(seconds):.5g}"),
        "slowest": float(f"{max(seconds):.5g}"),
        "images_per_second": float(f"{images / median:.5g}"),
        "megabytes_per_second": float(f"{size / median / 1e6:.5g}"),
        "share_of_floor": float(f"{statistics.median(floor) / median:.4g}") if floor else None,
        "peak_memory_mib": peak_memory_mib(),
    }
    share = f"{found['share_of_floor']:12.1%}" if floor else f"{'':12s}"
    print(
        f"{what:28s} {images:7d} {median:9.3f} {found['images_per_second']:9.1f} {found['megabytes_per_second']:8.1f} "
        f"{share} {found['peak_memory_mib'] or 0:9.0f}",
        flush=True,
    )
    return found


def peak_memory_mib() -> float | None:
    """Highest resident set of this process so far, the archive's construction included; None where unknown."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)


def photographs(path: Path) -> list[bytes]:
    """Every file of a tar."""
    with tarfile.open(path) as tar:
        opened = (tar.extractfile(member) for member in tar if member.isfile())
        return [stream.read() for stream in opened if stream is not None]


def noise(count: int) -> list[bytes]:
    """JPEG files of about the size of photographs: blurred noise of 500 x 375 pixels."""
    pictures = []
    for seed in range(count):
        small = np.random.default_rng(seed).integers(0, 256, (47, 63, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(small).resize((500, 375), Image.Resampling.BICUBIC).save(stream, format="JPEG", quality=95)
        pictures.append(stream.getvalue())
    return pictures


if __name__ == "__main__":
    main()
