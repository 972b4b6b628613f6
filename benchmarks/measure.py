"""How work is measured: time, memory, floating-point operations, and what the machine could do at best."""

from __future__ import annotations

import argparse
import contextlib
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.benchmark import Timer

from titok.models.flops import count
from titok.runtime.device import describe_device
from titok.runtime.files import write_json
from titok.runtime.manifest import provenance

Work = Callable[[], object]

PRECISIONS: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}

LONG_SECONDS = 30.0
"""After so long, two calls are enough."""


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
    matmul_fraction: float
    """Share of this device's measured matrix-product rate in the same precision."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data with digits that mean something."""
        return {
            key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in asdict(self).items()
        }


def measure(
    case: Case,
    device: torch.device,
    peaks: dict[str, float],
    repeats: int,
    seconds: float,
    gflop: float | None = None,
) -> Row:
    """Times a case after one call that warms up and counts operations; ``peaks`` come from `matmul_peak`.

    ``gflop``: counted before, on the same work not compiled; then one call warms up alone, which compiles.
    """
    work = case.build()
    with case.context(device):
        if gflop is None:
            gflop = count(work) / 1e9
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
        gflop=gflop,
        matmul_fraction=gflop / 1e3 / median / peaks[case.precision],
    )


def timings(work: Work, repeats: int, seconds: float) -> list[float]:
    """Seconds of single calls, ``repeats`` of them, or more until ``seconds`` are over.

    Long calls are timed twice only: they average over a machine's moods by themselves. torch's timer waits
    for the device and keeps the garbage collector out.
    """
    timer = Timer("work()", globals={"work": work}, num_threads=torch.get_num_threads())
    times: list[float] = []
    while len(times) < repeats or sum(times) < seconds:
        times.append(timer.timeit(1).mean)
        if sum(times) > LONG_SECONDS and len(times) >= 2:
            break
    return times


def alternating(first: Work, second: Work, repeats: int) -> tuple[list[float], list[float]]:
    """Both timed in turns, so that a busy moment of the machine hits both; each is warmed up once."""
    first(), second()
    pairs = [(timings(first, 1, 0)[0], timings(second, 1, 0)[0]) for _ in range(repeats)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


QUICK_MATMUL = 256
"""Side of the matrices of `--quick`, which shows that everything runs: bf16 without its instructions takes minutes."""


def matmul_peak(device: torch.device, precision: str, *, size: int | None = None) -> float:
    """Best measured rate of square matrix products in 10^12 operations per second: what the rest is compared with."""
    size = size or (8192 if device.type == "cuda" else 2048)
    left, right = torch.randn(2, size, size, device=device, dtype=PRECISIONS[precision]).unbind(0)
    fastest = min(timings(lambda: left @ right, 10, 0.5))
    return 2 * size**3 / fastest / 1e12


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
