"""Times scores beside what they cannot be faster than: the bare forward pass of Inception over the same images.

Images are noise, weights are made by rule unless the real file is given; neither changes how long anything takes. A
pass over N images is timed in turns with the bare network. What follows a pass (distances, neighbours, KID, intervals,
infinite N) is timed on drawn features, for several N. Run it while nothing else does.

  python -m benchmarks.scoring                                       this machine's processor, small N
  python -m benchmarks.scoring --device cuda --images 2000 10000 50000 --features 10000 50000
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import peak_memory_gib, reset_peak_memory, write_report
from benchmarks.timing import Work, alternating, timings
from titok.config.evaluation import Evaluation, Extractor, KernelDistance, SampleChecks, Uncertainty
from titok.evaluation.generation import score_samples
from titok.evaluation.neighbours import compare_clouds
from titok.evaluation.reconstruction import score_reconstructions
from titok.evaluation.reference import Reference
from titok.evaluation.samples import Samples
from titok.evaluation.uncertainty import Side, distance_at_infinity, frechet_contributions
from titok.metrics.extrapolation import PER_FEATURE
from titok.metrics.feature_store import FeatureStore
from titok.metrics.features import InceptionExtractor
from titok.metrics.moments import Moments
from titok.models.image_tokenizer import Reconstruction
from titok.runtime.device import select_device

FEATURES = InceptionExtractor.feature_dim
CHECKS = SampleChecks(allow=("too_few_for_features", "unbalanced_classes"))


def main() -> None:
    """Runs what the options ask for."""
    options = parse_options()
    device = select_device(options.device)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        weights = options.weights or rule_weights(folder / "inception.pth")
        extractor = InceptionExtractor(weights, dtype=options.dtype, device=device)
        print(f"{'what':34s} {'N':>7s} {'seconds':>9s} {'images/s':>9s} {'of the floor':>12s} {'peak GiB':>9s}")
        rows = []
        for count in options.images:
            rows += passes(extractor, count, options, folder, device)
        rows += margins(rows)
        for count in options.features:
            rows += analyses(count, options.repeats, folder, device)
    write_report(options, device, {"rows": rows})


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scoring", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs="+", default=[64, 128, 256], help="N of passes over images")
    parser.add_argument("--features", type=int, nargs="*", default=[4500, 9000], help="N of what follows a pass")
    parser.add_argument("--side", type=int, default=256, help="pixels (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=64, help="(default: %(default)s)")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="(default: %(default)s)")
    parser.add_argument("--weights", type=Path, help="pt_inception-2015-12-05-6726825d.pth (default: made by rule)")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:<index> (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where sample files and features go (default: the temporary one)")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/scoring.json"), help="JSON file to write")
    return parser.parse_args()


def rule_weights(path: Path) -> Path:
    """Inception with the weights of the tests."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    made: Path = import_module("metrics.inception_weights").rule_inception(path)
    return made


def passes(
    extractor: InceptionExtractor, count: int, options: argparse.Namespace, folder: Path, device: torch.device
) -> list[dict[str, Any]]:
    """Scores of samples in a file and of reconstructions, each beside the bare network over as many images."""
    file = write_samples(folder / f"samples-{count}.npz", count, options.side)
    settings = Evaluation(
        extractor=Extractor(weights="made by rule"), batch_size=options.batch_size, num_samples=count, checks=CHECKS,
        precision_recall_references=min(count, 10_000),
    )  # fmt: skip
    identity = torch.eye(FEATURES, dtype=torch.float64)
    reference = Reference(torch.zeros(FEATURES, dtype=torch.float64), identity)
    samples = Samples.open(file)

    def floats() -> Any:
        for batch in samples.batches(options.batch_size):
            yield torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255

    def bare(times: int) -> Work:
        batches = [torch.from_numpy(batch).permute(0, 3, 1, 2) for batch in samples.batches(options.batch_size)]

        def work() -> None:
            with torch.inference_mode():
                for _ in range(times):
                    for batch in batches:
                        extractor.network(batch.to(device))
            wait(device)

        return work

    def generated() -> None:
        score_samples(samples, reference, extractor, settings, num_classes=None, scratch=folder, device=device)

    def reconstructed() -> None:
        score_reconstructions(Reconstruction, floats(), extractor, settings, scratch=folder, device=device)

    found = []
    # Distances of 2048 features take as long for any N: `margins` leaves them out, `analyses` has them apart.
    for what, times, work in (("score samples", 1, generated), ("score reconstructions", 2, reconstructed)):
        reset_peak_memory(device)
        floor, seconds = alternating(bare(times), work, options.repeats)
        found.append(row(f"bare Inception, {times} x", count, floor, None, device))
        found.append(row(what, count, seconds, floor, device))
    return found


def margins(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each further image costs: between two N, where distances and other things done once cancel out."""
    found = []
    for what, floor in (("score samples", "bare Inception, 1 x"), ("score reconstructions", "bare Inception, 2 x")):
        measured, bare = ([one for one in rows if one["what"] == name] for name in (what, floor))
        for (less, more), (bare_less, bare_more) in zip(pairwise(measured), pairwise(bare), strict=True):
            images, seconds = more["images"] - less["images"], more["seconds"] - less["seconds"]
            share = (bare_more["seconds"] - bare_less["seconds"]) / seconds
            name = f"{what}, each image from {less['images']} on"
            found.append({"what": name, "images": more["images"], "images_per_second": images / seconds})
            found[-1]["share_of_floor"] = share
            print(f"{name:34s} {more['images']:7d} {seconds:9.3f} {images / seconds:9.1f} {share:12.1%}")
    return found


def analyses(count: int, repeats: int, folder: Path, device: torch.device) -> list[dict[str, Any]]:
    """What follows a pass over ``count`` pairs of images."""
    settings = Evaluation(
        extractor=Extractor(weights="made by rule"), kid=KernelDistance(subset_size=min(1000, count)),
        num_samples=count, precision_recall_references=min(count, 10_000),
    )  # fmt: skip
    uncertainty = Uncertainty()
    real, fake = (drawn(count, seed, folder, device) for seed in (0, 1))
    rows: dict[str, Callable[[], object]] = {
        "moments of features": lambda: fresh(fake).mean,
        "distance": lambda: fresh(real).distance(fresh(fake)),
        "precision, recall, KID": lambda: compare_clouds(
            stored(fake).rows(device=device),
            stored(real).rows(np.arange(settings.precision_recall_references), device),
            settings,
        ),
        "contributions for intervals": lambda: frechet_contributions(real, fake),
    }
    if count >= 2 * PER_FEATURE * FEATURES:  # fewer give no line
        rows["distance at infinite N"] = lambda: distance_at_infinity(real, fake, uncertainty)
    found = []
    for what, work in rows.items():
        reset_peak_memory(device)
        work()
        found.append(row(what, count, timings(synchronised(work, device), repeats, 0), None, device))
    return found


def drawn(count: int, seed: int, folder: Path, device: torch.device) -> Side:
    """Features without structure, stored and summed up."""
    store, moments = FeatureStore(folder), Moments(FEATURES, device)
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, count, 1000):
        features = torch.rand(min(1000, count - start), FEATURES, generator=generator)
        store.append(features)
        moments.update(features)
    return Side(moments.mean, moments.covariance, store)


def fresh(side: Side) -> Side:
    """Its moments summed up anew and not factored yet."""
    return side.subset(np.arange(len(stored(side))))


def stored(side: Side) -> FeatureStore:
    """Its features."""
    if side.store is None:
        raise ValueError("drawn sets have stored features")
    return side.store


def write_samples(path: Path, count: int, side: int) -> Path:
    """A sample file of noise, written image by image."""
    draws = np.random.default_rng(0)
    images = np.lib.format.open_memmap(path.with_suffix(".npy"), "w+", np.uint8, (count, side, side, 3))
    for image in images:
        image[:] = draws.integers(0, 256, image.shape, dtype=np.uint8)
    np.savez(path, arr_0=images)
    path.with_suffix(".npy").unlink()
    return path


def wait(device: torch.device) -> None:
    """Until the device has done everything."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def synchronised(work: Callable[[], object], device: torch.device) -> Work:
    """Work that ends when the device is done."""

    def done() -> None:
        work()
        wait(device)

    return done


def row(what: str, count: int, seconds: list[float], floor: list[float] | None, device: torch.device) -> dict[str, Any]:
    """One line of the table, printed."""
    median = statistics.median(seconds)
    found = {
        "what": what,
        "images": count,
        "seconds": float(f"{median:.5g}"),
        "fastest": float(f"{min(seconds):.5g}"),
        "slowest": float(f"{max(seconds):.5g}"),
        "images_per_second": float(f"{count / median:.5g}"),
        "share_of_floor": float(f"{statistics.median(floor) / median:.4g}") if floor else None,
        "peak_memory_gib": peak_memory_gib(device),
    }
    share = f"{found['share_of_floor']:12.1%}" if floor else f"{'':12s}"
    memory = f"{found['peak_memory_gib']:9.2f}" if found["peak_memory_gib"] is not None else ""
    print(f"{what:34s} {count:7d} {median:9.3f} {count / median:9.1f} {share} {memory}", flush=True)
    return found


if __name__ == "__main__":
    main()
