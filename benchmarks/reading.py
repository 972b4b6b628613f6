"""Times the reader of images, and beside it what it cannot be faster than: a bare loop of Pillow over the same bytes.

The floor reads every image where it lies, decodes it and resizes its shorter edge, in as many processes. The reader
also checks sums, cuts windows, makes batches and floats of them, and hands them over from its workers. The two are
timed in turns, by the clock and by the processors: where others work on the machine, the second says more. Peak memory
must not grow with the number of images.

  python -m benchmarks.reading --photographs photographs.tar
  python -m benchmarks.reading --images 100 400 --workers 0 --repeats 20        noise, one process, many short turns
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import psutil
from PIL import Image

from benchmarks.measure import write_report
from benchmarks.prepare import noise, peak_memory_mib, photographs
from titok.config.training import Decoder
from titok.data.loading import AHEAD
from titok.data.shards import ShardReader, ShardWriter
from titok.data.streamed import StreamedSet, StreamedTraining
from titok.data.transforms import resize_shorter_edge
from titok.runtime.device import select_device

_FORK = multiprocessing.get_context("fork")


def main() -> None:
    """Runs what the options ask for."""
    options = parse_options()
    device = select_device("cpu")  # large blocks are reused, as in every command
    pictures = photographs(options.photographs) if options.photographs else noise(100)
    rows = []
    print(
        f"{'what':30s} {'images':>7s} {'workers':>7s} {'seconds':>9s} {'images/s':>9s} {'of the floor':>12s} "
        f"{'by processor':>12s} {'peak MiB':>9s} {'a worker':>9s}"
    )
    for count in options.images:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            with ShardWriter(name, "train") as writer:
                for number in range(count):
                    writer.write(f"image-{number}", pictures[number % len(pictures)], 0)
            for workers in options.workers:
                rows += list(measure(Path(name), workers, options))
    write_report(options, device, {"rows": rows})


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reading", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photographs", type=Path, help="tar of image files to repeat (default: noise of 500 x 375)")
    parser.add_argument("--images", type=int, nargs="+", default=[200, 400, 800], help="default: 200 400 800")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="processes; default: 0 1 2")
    parser.add_argument("--resize", type=int, default=256, help="shorter edge and crop (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=32, help="images at a time (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="timed turns of each (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, help="where to work, e.g. a disk to measure (default: the temporary one)"
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/reading.json"), help="JSON file to write")
    return parser.parse_args()


class Spent(NamedTuple):
    """What one turn took."""

    seconds: float
    processor: float
    """Seconds of all processes together, the workers included."""


Work = Callable[[], Spent]


def measure(folder: Path, workers: int, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Floor and reader, in both orders, and the other decoder."""
    count = len(ShardReader(folder, "train"))
    images = StreamedSet(folder, "train", options.resize, workers=workers)
    trainings = {decoder: Epochs(images, options, decoder) for decoder in get_args(Decoder)}
    ways: dict[str, Work] = {
        "bare decode and resize": lambda: spent_on(lambda: bare(folder, options.resize, workers)),
        "test images, in order": lambda: spent_on(lambda: evaluate(images, options)),
        **{f"training batches, {decoder}": epochs.next for decoder, epochs in trainings.items()},
    }
    spent = in_turns(list(ways.values()), options.repeats)
    for epochs in trainings.values():
        epochs.close()
    for what, turns in zip(ways, spent, strict=True):
        yield row(what, count, workers, turns, spent[0])


def bare(folder: Path, resize: int, processes: int) -> None:
    """The floor, each process with its share of the images."""
    with ShardReader(folder, "train", verify=False) as reader:
        if not processes:
            decode(reader, range(len(reader)), resize)
            return
        shares = [range(first, len(reader), processes) for first in range(processes)]
        started = [_FORK.Process(target=decode, args=(reader, share, resize)) for share in shares]
        for process in started:
            process.start()
        for process in started:
            process.join()


def decode(reader: ShardReader, share: range, resize: int) -> None:
    """Every image to its resized pixels, which are thrown away."""
    for index in share:
        resize_shorter_edge(Image.open(io.BytesIO(reader.read(index))).convert("RGB"), resize)


def evaluate(images: StreamedSet, options: argparse.Namespace) -> None:
    """All images once, as scores read them."""
    for _ in images.crops(options.resize, options.batch_size):
        pass


class Epochs:
    """One endless training: shuffled, random windows and flips."""

    def __init__(self, images: StreamedSet, options: argparse.Namespace, decoder: Decoder) -> None:
        self._batches = StreamedTraining(images, options.resize, options.batch_size, seed=0, decoder=decoder)
        self._length = max(1, len(images) // options.batch_size)
        self._epoch = len(images) / (self._length * options.batch_size)
        self._ahead = AHEAD * images.workers
        self._step = 0

    def next(self) -> Spent:
        """An epoch, scaled from whole batches, after those that were read while others had their turn."""
        self._draw(self._ahead)
        spent = spent_on(lambda: self._draw(self._length))
        return Spent(*(value * self._epoch for value in spent))

    def close(self) -> None:
        """Ends the workers."""
        self._batches.close()

    def _draw(self, count: int) -> None:
        for _ in range(count):
            self._batches.batch(self._step)
            self._step += 1


def in_turns(ways: list[Work], repeats: int) -> list[list[Spent]]:
    """What each took, turn by turn, after one that fills the page cache."""
    rounds = [[run() for run in ways] for _ in range(repeats + 1)]
    return [list(turns) for turns in zip(*rounds[1:], strict=True)]


TICK = 1 / os.sysconf("SC_CLK_TCK")
"""What the system's clock of processor time can show at least; fast machines read a small epoch in less."""


def spent_on(run: Callable[[], object]) -> Spent:
    """What one call took."""
    started, before = time.perf_counter(), processor_seconds()
    run()
    return Spent(time.perf_counter() - started, max(processor_seconds() - before, TICK))


def processor_seconds() -> float:
    """Of this process, of those it has waited for, and of those at work."""
    times = os.times()
    at_work = [child.cpu_times() for child in psutil.Process().children()]
    own = times.user + times.system + times.children_user + times.children_system
    return own + sum(child.user + child.system for child in at_work)


def row(what: str, images: int, workers: int, turns: list[Spent], floor: list[Spent]) -> dict[str, Any]:
    """One line of the table, printed; shares compare turns with the floor's turn beside them."""
    shares = Spent(
        statistics.median(least.seconds / turn.seconds for least, turn in zip(floor, turns, strict=True)),
        statistics.median(least.processor / turn.processor for least, turn in zip(floor, turns, strict=True)),
    )
    seconds = [turn.seconds for turn in turns]
    median = statistics.median(seconds)
    found = {
        "what": what,
        "images": images,
        "workers": workers,
        "seconds": float(f"{median:.5g}"),
        "fastest": float(f"{min(seconds):.5g}"),
        "slowest": float(f"{max(seconds):.5g}"),
        "processor_seconds": float(f"{statistics.median(turn.processor for turn in turns):.5g}"),
        "images_per_second": float(f"{images / median:.5g}"),
        "share_of_floor": float(f"{shares.seconds:.4g}"),
        "share_of_floor_by_processor": float(f"{shares.processor:.4g}"),
        "peak_memory_mib": peak_memory_mib(),
        "peak_memory_worker_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }
    print(
        f"{what:30s} {images:7d} {workers:7d} {median:9.3f} {found['images_per_second']:9.1f} {shares.seconds:12.1%} "
        f"{shares.processor:12.1%} {found['peak_memory_mib'] or 0:9.0f} {found['peak_memory_worker_mib']:9.0f}",
        flush=True,
    )
    return found


if __name__ == "__main__":
    main()
