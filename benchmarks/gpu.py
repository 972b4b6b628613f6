"""Times the models at paper size on a GPU and keeps what it found, for docs/measurements.md.

Encode, decode, generate, and one training step of each task, in float32, in bfloat16 and compiled; then a training step
by one process under NCCL beside the same step alone. Run it while nothing else uses the GPU.

  python -m benchmarks.gpu                                  L-32, B-64 and S-128: docs/measurements/gpu-<device>.json
  python -m benchmarks.gpu --variants b-64 --ways bf16      part of it; give --output, so that the whole stays
  python -m benchmarks.gpu --device cpu --tiny --output FILE   tiny models on a CPU: does everything run?
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import socket
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from benchmarks import inference, training
from benchmarks.limits import Limits, Operations, as_rows, best, candidates
from benchmarks.measure import Case, measure, write_report
from benchmarks.models import TINY, VARIANTS, Variant
from benchmarks.timing import timings
from titok.config.training import Compute, Training
from titok.errors import MachineError, OptionError
from titok.runtime.device import select_device, unusable_gpus
from titok.runtime.driver import installed_driver
from titok.runtime.processes import joined

MEASUREMENTS = Path(__file__).parents[1] / "docs" / "measurements"
TRAINED, INFERRED = "training step", "inference"


class Way(NamedTuple):
    """How the arithmetic is done."""

    precision: str
    compiled: bool = False


WAYS = {"fp32": Way("fp32"), "bf16": Way("bf16"), "bf16-compiled": Way("bf16", compiled=True)}
"""Compiled ones after the same precision as it is, which counts their operations."""


def main() -> None:
    """Runs what the options ask for."""
    options = parse_options()
    device = chosen_device(options)
    output = options.output or MEASUREMENTS / f"gpu-{slug(torch.cuda.get_device_name(device))}.json"
    variants = {"tiny": TINY} if options.tiny else {name: VARIANTS[name] for name in options.variants}
    ways = {precision: candidates(device, precision, quick=options.tiny) for precision in ("fp32", "bf16")}
    limits = {precision: best(found) for precision, found in ways.items()}
    rows: list[dict[str, Any]] = []
    for kind, way, case in all_cases(variants, device, options):
        if options.only in case.name:
            rows.append(measured(kind, way, case, rows, device, limits, options))
            print(line(rows[-1]), flush=True)
    name, variant = next(iter(variants.items()))
    content = {
        "driver": installed_driver() if device.type == "cuda" else None,
        "protocol": protocol(options),
        "matmul_tflops": {precision: round(found.product, 4) for precision, found in limits.items()},
        "limits": [row for found in ways.values() for row in as_rows(found)],
        "rows": rows,
        "one_process_group": one_process_group(name, variant, device, options),
    }
    options.output = output
    write_report(options, device, content)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="cuda, cuda:<index>; cpu with --tiny (default: %(default)s)")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--batch-size", type=int, default=128, help="images per call (default: %(default)s)")
    parser.add_argument("--train-batch-size", type=int, default=16, help="images per step (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls at least (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="timed at least so long (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="WORD", help="cases whose name contains this")
    parser.add_argument("--tiny", action="store_true", help="tiny models, batches of 2, one call each")
    parser.add_argument("--output", type=Path, help="JSON to write (default: docs/measurements/gpu-<device>.json)")
    options = parser.parse_args()
    if options.tiny:
        options.batch_size, options.train_batch_size, options.repeats, options.seconds = 2, 2, 1, 0.0
    return options


def chosen_device(options: argparse.Namespace) -> torch.device:
    """Where to measure, float32 without TF32.

    Raises:
        MachineError: torch sees no GPU.
        OptionError: a CPU is asked for models of paper size, or tiny ones would be kept as a measurement.
    """
    if options.tiny and options.output is None:
        raise OptionError("--tiny measures nothing that is worth keeping in docs/measurements; give --output")
    if not options.device.startswith("cuda"):
        if not options.tiny:
            raise OptionError(
                f"--device is {options.device!r}, but models of paper size are for a GPU here; add --tiny, or run "
                f"`python -m benchmarks`, which times them on a CPU"
            )
        return select_device(options.device)
    if not torch.cuda.is_available():
        raise MachineError(
            f"--device is {options.device!r}, but torch sees no CUDA device: {unusable_gpus()}. Run this on a machine "
            f"with a GPU; whether the command works is told without one by --device cpu --tiny --output FILE"
        )
    return select_device(options.device)


def slug(name: str) -> str:
    """A device's name as part of a file's: ``NVIDIA A100-SXM4-40GB`` gives ``nvidia-a100-sxm4-40gb``."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def protocol(options: argparse.Namespace) -> dict[str, Any]:
    """What the numbers depend on beside the device."""
    return {
        "inference_batch": options.batch_size,
        "training_batch": options.train_batch_size,
        "calls": f"at least {options.repeats}, and {options.seconds:g} s of them; medians",
        "before": "one call that is not timed, which compiles",
        "fp32": "without TF32",
        "bf16": "autocast; quantizers, losses and weights stay float32",
        "images": "random, on the device for inference, on the host for training; reading is not in it",
        "weights": "random, which no speed depends on",
        "processes": 1,
    }


def all_cases(
    variants: dict[str, Variant], device: torch.device, options: argparse.Namespace
) -> Iterator[tuple[str, str, Case]]:
    """(kind, way, case) of everything, way by way."""
    for label in sorted(options.ways, key=list(WAYS).index):
        way = WAYS[label]
        compute = Compute(precision=way.precision, compile=way.compiled)
        for name, variant in variants.items():
            drawn = inference.cases(name, variant, device, options.batch_size, [way.precision], None, compute)
            yield from ((INFERRED, label, case) for case in drawn)
            steps = training.cases(name, variant, device, options.train_batch_size, compute)
            yield from ((TRAINED, label, case) for case in steps)


def measured(
    kind: str,
    label: str,
    case: Case,
    before: list[dict[str, Any]],
    device: torch.device,
    limits: dict[str, Limits],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """A case's numbers, or that it takes more memory than there is."""
    way, about = WAYS[label], {"kind": kind, "way": label}
    # Training steps bring their own autocast, which spares optimizer and losses.
    share = {case.precision: limits[way.precision]}
    counted = [row for row in before if row["name"] == case.name and "gflop" in row]
    operations = _operations(counted[0]) if way.compiled and counted else None
    try:
        row = measure(case, device, share, options.repeats, options.seconds, operations).as_dict()
    except torch.OutOfMemoryError:
        return {"name": case.name, "unit": case.unit, "count": case.count, **about, "failed": "out of memory"}
    finally:
        torch.compiler.reset()
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return row | about | {"precision": way.precision}


def _operations(row: dict[str, Any]) -> Operations:
    """Those that a row was counted to have."""
    convolutions = round(row["convolution_gflop"] * 1e9)
    return Operations(round(row["gflop"] * 1e9) - convolutions, convolutions)


def line(row: dict[str, Any]) -> str:
    """What people see of a row while they wait."""
    found = row.get("failed") or f"{row['per_second']:10.3f} {row['unit']} per second"
    return f"{row['name']:52s} {row['way']:14s} {found}"


def one_process_group(name: str, variant: Variant, device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a step of stage 1 alone and as the only process of a group, and of a sum of all its gradients."""
    settings = Training(batch_size=options.train_batch_size)
    content = training.coded_batch(variant, training.image_batch(variant, options.train_batch_size))

    def seconds() -> float:
        step = training.stepper(training.stage1(variant, settings), content, settings, device)
        step()
        return statistics.median(timings(step, options.repeats, options.seconds))

    alone = seconds()
    for key, value in _only_process().items():
        os.environ[key] = value
    with joined(device.type):
        together = seconds()
        numbers = sum(parameter.numel() for parameter in training.stage1(variant, settings).parameters())
        gradients = torch.ones(numbers, device=device)
        dist.all_reduce(gradients)
        summing = statistics.median(timings(lambda: dist.all_reduce(gradients), options.repeats, options.seconds))
        backend = "nccl" if device.type == "cuda" else "gloo"
    return {
        "what": f"stage 1 of {name}, codes stored, fp32",
        "backend": backend,
        "version": ".".join(map(str, torch.cuda.nccl.version())) if backend == "nccl" else None,
        "alone_seconds": alone,
        "group_seconds": together,
        "all_reduce_seconds": summing,
        "all_reduce_numbers": numbers,
    }


def _only_process() -> dict[str, str]:
    """What torchrun would say to the only process of a job."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {
        "RANK": "0",
        "WORLD_SIZE": "1",
        "LOCAL_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


if __name__ == "__main__":
    main()
