"""Times the hot paths on this machine: `make bench`, or `python -m benchmarks` with options.

Encode, decode, generate with decoding, and one training step of each task, as a table and as JSON: units per second,
peak memory, operations, and the share reached of the machine's limit: the fastest matrix product and the fastest
convolution by any library that torch can call, which are printed first. Then pairs of ways to the same result.
Run it while nothing else does.

  python -m benchmarks                                       the variants S-128 and L-32 on this machine
  python -m benchmarks --device cuda --variants l-32 b-64 s-128 --batch-size 64
  python -m benchmarks --quick                               tiny models, seconds: does everything run?
  python -m benchmarks --only stage1                         cases whose name contains a word
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from benchmarks import inference, training
from benchmarks.comparisons import Comparison, compare, comparisons
from benchmarks.limits import as_rows, best, candidates
from benchmarks.measure import Case, Row, measure, write_report
from benchmarks.models import TINY, VARIANTS, Variant
from benchmarks.timing import PRECISIONS
from titok.runtime.device import select_device

CPU_STEPS = 8
"""Sampling steps where a CPU would need minutes for the official number; cost is proportional to them."""

COMPARED_STEPS = 2
"""Sampling steps of comparisons, whose two sides both cost in proportion to them."""


def main() -> None:
    """Runs what the options ask for."""
    options = parse_options()
    device = select_device(options.device)
    chosen = {"tiny": TINY} if options.quick else {name: VARIANTS[name] for name in options.variants}
    repeats, seconds = (1, 0.0) if options.quick else (options.repeats, options.seconds)
    precisions = sorted({"fp32", *options.precisions})
    ways = [way for precision in precisions for way in candidates(device, precision, quick=options.quick)]
    limits = {precision: best([way for way in ways if way.precision == precision]) for precision in precisions}
    for way in ways:
        rate = f"{way.tflops:.3f} TFLOP/s" if way.tflops is not None else f"not here: {way.why_not}"
        print(f"{way.kind:12s} {way.precision:5s} {way.library:30s} {rate}")
    rows: list[Row] = []
    print(f"\n{'what':52s} {'in':5s} {'seconds':>9s} {'per s':>9s} {'peak GiB':>9s} {'GFLOP':>10s} {'of limit':>9s}")
    for case in chain(inference_cases(chosen, device, options), training_cases(chosen, device, options)):
        if options.only in case.name:
            rows.append(show(measure(case, device, limits, repeats, seconds)))
    print()
    compared = []
    for comparison in all_comparisons(chosen, device, options):
        if options.only in comparison.name:
            compared.append(show_pair(compare(comparison, repeats)))
    report = {
        "matmul_tflops": {precision: round(found.product, 4) for precision, found in limits.items()},
        "limits": as_rows(ways),
        "rows": [row.as_dict() for row in rows],
        "comparisons": compared,
    }
    write_report(options, device, report)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:<index>")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["s-128", "l-32"])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--batch-size", type=int, default=8, help="images per call (default: %(default)s)")
    parser.add_argument("--train-batch-size", type=int, default=4, help="images per step (default: %(default)s)")
    parser.add_argument("--steps", type=int, help=f"sampling steps (default: the official ones; {CPU_STEPS} on a CPU)")
    parser.add_argument("--repeats", type=int, default=3, help="timed calls at least (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="timed at least so long (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="WORD", help="cases whose name contains this")
    parser.add_argument("--quick", action="store_true", help="tiny models, one call each")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/latest.json"), help="JSON file to write")
    return parser.parse_args()


def inference_cases(chosen: dict[str, Variant], device: torch.device, options: argparse.Namespace) -> Iterator[Case]:
    """Encode, decode and generate for every variant."""
    for name, variant in chosen.items():
        yield from inference.cases(
            name, variant, device, options.batch_size, options.precisions, sampling_steps(device, options)
        )


def training_cases(chosen: dict[str, Variant], device: torch.device, options: argparse.Namespace) -> Iterator[Case]:
    """One step of each task for every variant."""
    for name, variant in chosen.items():
        yield from training.cases(name, variant, device, options.train_batch_size)


def all_comparisons(
    chosen: dict[str, Variant], device: torch.device, options: argparse.Namespace
) -> Iterator[Comparison]:
    """The pairs for every variant."""
    for name, variant in chosen.items():
        yield from comparisons(
            name, variant, device, options.batch_size, options.train_batch_size, options.steps or COMPARED_STEPS
        )


def sampling_steps(device: torch.device, options: argparse.Namespace) -> int | None:
    """As asked for; None is the sampler's own number."""
    return options.steps or (CPU_STEPS if device.type == "cpu" else None)


def show(row: Row) -> Row:
    """Prints a line of the table."""
    memory = "" if row.peak_memory_gib is None else f"{row.peak_memory_gib:.2f}"
    print(
        f"{row.name:52s} {row.precision:5s} {row.seconds:9.3f} {row.per_second:9.3f} {memory:>9s} {row.gflop:10.1f} "
        f"{row.limit_fraction:9.1%}",
        flush=True,
    )
    return row


def show_pair(found: dict[str, Any]) -> dict[str, Any]:
    """Prints a line about a comparison."""
    times = f"{found['slower_seconds']:9.3f} s  {found['faster_seconds']:9.3f} s"
    print(f"{found['name']:62s} {times}  {found['speedup']:6.2f} times as fast", flush=True)
    return found


if __name__ == "__main__":
    main()
