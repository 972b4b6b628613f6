"""Times the extraction of proxy codes beside the bare encoder, and batches with stored codes beside batches without.

Extraction reads and decodes photographs (or noise) from shards, encodes, writes parts and merges them; its floor is the
VQGAN's encoder alone on windows that are there already. Reading a batch with its codes is compared with reading the
same images without. Each pair is timed in turns. Run it while nothing else does.

  python -m benchmarks.codes --photographs photographs.tar
  python -m benchmarks.codes --device cuda --batch-size 128 --images 2000 8000 --workers 16
  python -m benchmarks.codes --quick                           a tiny VQGAN, seconds: does everything run?
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import peak_memory_gib, reset_peak_memory, write_report
from benchmarks.models import TINY, VARIANTS
from benchmarks.prepare import noise, photographs
from benchmarks.timing import alternating
from titok.commands.proxy_encoder import ProxyEncoder
from titok.config.data import Dataset
from titok.config.views import StoredCodes, ViewSet
from titok.data.coded_images import CodedImages
from titok.data.rows.extraction import ViewReader, make_parts
from titok.data.rows.facts import Facts, codes_of_a_window
from titok.data.rows.parts import PartFolder
from titok.data.rows.store import RowStore, merge
from titok.data.shards import ShardReader, ShardWriter
from titok.data.streamed import StreamedSet, StreamedTraining
from titok.data.transforms import from_uint8
from titok.models.vqgan import VQGAN
from titok.runtime.device import select_device

VIEWS = {"centre": ViewSet(), "ten-crop": ViewSet(crops="five", mirrored=True)}


def main() -> None:
    """Runs what the options ask for."""
    options = parse_options()
    device = select_device(options.device, allow_tf32=options.precision == "tf32")
    variant = TINY if options.quick else VARIANTS["l-32"]
    encoder = ProxyEncoder(VQGAN(variant.vqgan).to(device).eval(), device, options.precision)
    pictures = photographs(options.photographs) if options.photographs else noise(50)
    side = variant.tokenizer.image_size
    rows = []
    print(
        f"{'what':34s} {'images':>7s} {'views':>5s} {'seconds':>9s} {'windows/s':>9s} {'of the floor':>12s} {'GiB':>7s}"
    )
    for count in options.images:
        for name in options.views:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                bench = Bench(Path(folder), encoder, VIEWS[name], side, pictures, count, options)
                rows += [*bench.extraction(), *bench.batches()]
    write_report(options, device, {"rows": rows})


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.codes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photographs", type=Path, help="tar of image files to repeat (default: noise of 500 x 375)")
    parser.add_argument("--images", type=int, nargs="+", default=[16, 32, 64], help="(default: %(default)s)")
    parser.add_argument("--views", nargs="+", choices=VIEWS, default=["centre"], help="(default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:<index>")
    parser.add_argument("--precision", choices=("fp32", "bf16", "tf32"), default="fp32", help="(default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=8, help="windows at once (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="processes that decode (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tiny VQGAN")
    parser.add_argument("--folder", type=Path, help="where to work (default: the temporary folder)")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/codes.json"), help="JSON file to write")
    return parser.parse_args()


class Bench:
    """Photographs in shards, and everything timed on them."""

    def __init__(
        self,
        folder: Path,
        encoder: ProxyEncoder,
        views: ViewSet,
        side: int,
        pictures: list[bytes],
        count: int,
        options: argparse.Namespace,
    ) -> None:
        self.folder = folder
        self.encoder = encoder
        self.options = options
        self.settings = StoredCodes(views=views, resize=round(side * 1.1), part_images=max(options.batch_size, 1024))
        with ShardWriter(folder, "train") as writer:
            for number in range(count):
                writer.write(f"image-{number}", pictures[number % len(pictures)], 0)
        with ShardReader(folder, "train") as reader:
            self.facts = Facts.of(
                Dataset(kind="folder", resize=side, image_size=side),
                self.settings,
                fingerprint=reader.fingerprint,
                images=count,
                network_sha256="",
                codebook_size=encoder.vqgan.config.codebook_size,
                columns=codes_of_a_window(side, encoder.vqgan.config),
                precision=encoder.precision,
            )
        self.windows = count * self.facts.shape[1]

    def extraction(self) -> list[dict[str, Any]]:
        """All of the work and its floor."""
        windows = torch.randint(256, (self.options.batch_size, 3, self.facts.crop, self.facts.crop), dtype=torch.uint8)
        images = from_uint8(windows).to(self.encoder.device)
        reset_peak_memory(self.encoder.device)
        floor, seconds = alternating(lambda: self.encode_only(images), self.extract, self.options.repeats)
        return [self.row("encoder alone", floor, None), self.row("read, encode, write, merge", seconds, floor)]

    @torch.no_grad()
    def encode_only(self, images: torch.Tensor) -> None:
        """The encoder's forward pass for as many windows as there are."""
        device, bf16 = self.encoder.device, self.encoder.precision == "bf16"
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            for start in range(0, self.windows, len(images)):
                latents = self.encoder.vqgan.encode(images[: self.windows - start])
        latents.sum().item()

    def extract(self) -> RowStore:
        """From shards to one merged file."""
        output = self.folder / "train.npy"
        folder = PartFolder.of(output, self.facts)
        size, workers = self.options.batch_size, self.options.workers
        read = ViewReader(self.folder, "train", self.facts)
        made_by: dict[str, str] = {}
        make_parts(
            read, self.encoder.codes, folder, self.facts.parts(), batch_size=size, workers=workers, made_by=made_by
        )
        return merge(folder, output)

    def batches(self) -> list[dict[str, Any]]:
        """An epoch of training batches with stored codes, beside the same images without."""
        store = RowStore.open(self.folder / "train.npy")
        size, crop = self.options.batch_size, self.facts.crop
        images = StreamedSet(self.folder, "train", self.facts.resize, workers=self.options.workers)
        plain = StreamedTraining(images, crop, size, seed=0)
        coded = CodedImages(images, crop, self.facts.view_list(), store.rows, size, seed=0)

        def epoch(source: StreamedTraining | CodedImages) -> Callable[[], None]:
            def run() -> None:
                for step in range(max(1, self.facts.images // size)):
                    source.batch(step)
                source.close()

            return run

        floor, seconds = alternating(epoch(plain), epoch(coded), self.options.repeats)
        return [self.row("batches without codes", floor, None), self.row("batches with codes", seconds, floor)]

    def row(self, what: str, seconds: list[float], floor: list[float] | None) -> dict[str, Any]:
        """One line of the table, printed."""
        median = statistics.median(seconds)
        windows = self.facts.images if what.startswith("batches") else self.windows
        found: dict[str, Any] = {
            "what": what,
            "images": self.facts.images,
            "views": self.facts.shape[1],
            "seconds": float(f"{median:.5g}"),
            "fastest": float(f"{min(seconds):.5g}"),
            "slowest": float(f"{max(seconds):.5g}"),
            "windows_per_second": float(f"{windows / median:.5g}"),
            "share_of_floor": float(f"{statistics.median(floor) / median:.4g}") if floor else None,
            "peak_memory_gib": peak_memory_gib(self.encoder.device),
        }
        share = f"{found['share_of_floor']:12.1%}" if floor else " " * 12
        print(
            f"{what:34s} {self.facts.images:7d} {self.facts.shape[1]:5d} {median:9.3f} "
            f"{found['windows_per_second']:9.2f} {share} {found['peak_memory_gib'] or 0:7.2f}",
            flush=True,
        )
        return found


if __name__ == "__main__":
    main()
