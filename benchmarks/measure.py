"""How work is measured: time, memory, floating-point operations, and how near the machine's best that is."""

from __future__ import annotations

import argparse
import contextlib
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.limits import Limits, Operations, operations
from benchmarks.timing import PRECISIONS, Work, timings
from titok.runtime.device import describe_device
from titok.runtime.files import write_json
from titok.runtime.manifest import provenance


@dataclass(frozen=True)
class Case:
    """Something to time."""

    name: str
    unit: str
    """What it makes, in the plural: images, samples."""
    count: int
    """Units per call."""
    build: Callable[[], Work]
    """Makes the models and returns what to time; models live no longer than their case."""
    precision: str = "fp32"
    """A key of `PRECISIONS`; anything but fp32 runs under autocast."""

    @contextlib.contextmanager
    def context(self, device: torch.device) -> Iterator[None]:
        """Autocast as the precision says."""
        dtype = PRECISIONS[self.precision]
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32):
            yield


@dataclass(frozen=True)
class Row:
    """What was measured of one case."""

    name: str
    precision: str
    unit: str
    count: int
    seconds: float
    """Median over the repeats."""
    fastest: float
    slowest: float
    repeats: int
    per_second: float
    peak_memory_gib: float | None
    """CUDA: allocated by tensors. CPU: resident set of the process, libraries included. None where unknown."""
    gflop: float
    """Of one call, multiplications and additions counted separately; matrix products, convolutions and attention."""
    convolution_gflop: float
    """Those of convolutions among them."""
    limit_fraction: float
    """Share reached of what the machine can do: the time of as many operations by the fastest matrix product and the
    fastest convolution (`benchmarks.limits`) in the same precision, over the time taken."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data with digits that mean something."""
        return {
            key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in asdict(self).items()
        }


def measure(
    case: Case,
    device: torch.device,
    limits: Mapping[str, Limits],
    repeats: int,
    seconds: float,
    counted: Operations | None = None,
) -> Row:
    """Times a case after one call that warms up and counts operations; ``limits`` for each precision.

    ``counted``: before, on the same work not compiled; then one call warms up alone, which compiles.
    """
    work = case.build()
    with case.context(device):
        if counted is None:
            counted = operations(work)
        else:
            work()
        reset_peak_memory(device)
        times = timings(work, repeats, seconds)
        memory = peak_memory_gib(device)
    median = statistics.median(times)
    return Row(
        name=case.name,
        precision=case.precision,
        unit=case.unit,
        count=case.count,
        seconds=median,
        fastest=min(times),
        slowest=max(times),
        repeats=len(times),
        per_second=case.count / median,
        peak_memory_gib=memory,
        gflop=sum(counted) / 1e9,
        convolution_gflop=counted.convolutions / 1e9,
        limit_fraction=counted.seconds(limits[case.precision]) / median,
    )


def reset_peak_memory(device: torch.device) -> None:
    """Forgets the peak so far."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):  # Linux: 5 resets the peak resident set size
            Path("/proc/self/clear_refs").write_text("5")


def peak_memory_gib(device: torch.device) -> float | None:
    """The highest use since `reset_peak_memory`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**20
    return None


def write_report(options: argparse.Namespace, device: torch.device, content: dict[str, Any]) -> None:
    """Writes what was measured to ``options.output``, with the device, the options and where it all came from."""
    settings = {key: value for key, value in vars(options).items() if key not in ("output", "folder")}
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}
    facts = provenance(seed=0, config=plain, device=device)
    write_json(options.output, {"device": describe_device(device), **content, "provenance": facts})
    print(f"\n{options.output}")
