"""How fast a device works through operations: as measured by `python -m benchmarks`, or a share of its peak."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from titok.planning.graph import PlanError
from titok.planning.work import Work
from titok.runtime.files import FileError, read_json
from titok.runtime.system_names import is_hidden
from titok.training.operations import PEAKS

DEVICES = tuple(PEAKS)
DEFAULT_DEVICE = "A100"
"""The paper's."""
DEFAULT_UTILISATION = 0.3

_PRECISIONS = {"fp32": "fp32", "bf16": "half", "fp16": "half", "tf32": "tf32"}
"""Precisions of the benchmark -> arithmetic."""

_WORDS: dict[tuple[str, str], str] = {
    ("training", "stage1"): "stage1, codes online",
    ("training", "stage2"): "stage2",
    ("training", "single_stage"): "single stage",
    ("training", "vqgan"): "proxy vqgan",
    ("training", "generator"): "generator (",
    ("encoding", "tokenizer"): " encode",
    ("sampling", "vit"): "generate",
    ("sampling", "uvit"): "generate",
}
"""(kind, task) -> words in the names of the benchmark's cases."""


class Rates(Protocol):
    """Seconds on one device."""

    unit: ClassVar[str]
    """What one device is called: GPU, core."""

    @property
    def source(self) -> str:
        """Where the rates come from, as a sentence."""

    def seconds(self, work: Work) -> float:
        """Of some work."""


@dataclass(frozen=True)
class CoreRate:
    """Operations per second of one processor core, whatever the work; each job takes one."""

    gflops: float
    unit: ClassVar[str] = "core"

    @property
    def source(self) -> str:
        """The rate, and how wrong one rate for all is."""
        return (
            f"One rate for all work: {self.gflops:g} GFLOP/s a core, as told; how far rules are off by that is in "
            f"docs/measurements/plan-error-digits.csv."
        )

    def seconds(self, work: Work) -> float:
        """All operations, whatever their arithmetic."""
        return work.total / (self.gflops * 1e9)


@dataclass(frozen=True)
class PeakShare:
    """A share of the data sheet's peak in each arithmetic."""

    unit: ClassVar[str] = "GPU"
    device: str
    utilisation: float

    def __post_init__(self) -> None:
        if self.device not in PEAKS:
            raise PlanError(f"device is {self.device!r}; allowed: {', '.join(PEAKS)}")
        if not 0 < self.utilisation <= 1:
            raise PlanError(f"utilisation is {self.utilisation}; allowed: more than 0, at most 1")

    @property
    def source(self) -> str:
        """The share, of what."""
        peaks = ", ".join(f"{name} {rate / 1e12:g}" for name, rate in PEAKS[self.device].items())
        return (
            f"Nothing measured: counted operations at {self.utilisation:.0%} of an {self.device}'s peak "
            f"(TFLOP/s: {peaks})."
        )

    def seconds(self, work: Work) -> float:
        """Each part in its own arithmetic."""
        peaks = PEAKS[self.device]
        return sum(flops / peaks[arithmetic] for arithmetic, flops in work.flops.items()) / self.utilisation


@dataclass(frozen=True)
class Measured:
    """Operations per second as the benchmark saw them on the kind of work; of several models, the most alike."""

    unit: ClassVar[str] = "GPU"
    path: Path
    device: str
    rows: Sequence[dict[str, Any]]
    otherwise: PeakShare

    @property
    def source(self) -> str:
        """File and device, and what stands in for work that was not measured."""
        return (
            f"Measured on {self.device} ({self.path}); work that is not in there: counted operations at "
            f"{self.otherwise.utilisation:.0%} of an {self.otherwise.device}'s peak."
        )

    def seconds(self, work: Work) -> float:
        """By the measured row of the nearest number of operations per image, in the same arithmetic if there is one."""
        word = _WORDS.get((work.kind, work.task))
        rows = [row for row in self.rows if word and word in row["name"] and row["gflop"] > 0]
        if not rows:
            return self.otherwise.seconds(work)
        main = max(work.flops, key=lambda arithmetic: work.flops[arithmetic])
        same = [row for row in rows if _PRECISIONS.get(row["precision"]) == main]
        wanted = work.total / work.images / 1e9
        row = min(same or rows, key=lambda row: abs(math.log(row["gflop"] / row["count"] / wanted)))
        return work.total / (row["gflop"] * 1e9 / row["seconds"])


def read_rates(path: Path, otherwise: PeakShare) -> Measured:
    """Rates from a report of `python -m benchmarks`.

    Raises:
        PlanError: it is none, or was not made on a GPU.
    """
    try:
        report = read_json(path)
    except FileError as error:
        raise PlanError(f"{error}; make one with `python -m benchmarks --device cuda --output {path}`") from error
    if not is_benchmark(report):
        raise PlanError(f"{path} is no report of `python -m benchmarks` from a GPU; make one with --device cuda")
    return Measured(path, str(report["device"].get("name") or "a GPU"), report["rows"], otherwise)


def find_rates(folder: Path, otherwise: PeakShare) -> Measured | None:
    """The first report in ``folder`` from a GPU whose name contains the device asked for; None without one."""
    for path in sorted(folder.glob("**/*.json")):
        if is_hidden(path.relative_to(folder)):
            continue
        report = read_json(path)
        if is_benchmark(report) and otherwise.device in str(report["device"].get("name")):
            return read_rates(path, otherwise)
    return None


def is_benchmark(report: Any) -> bool:
    """Whether it is a report of the benchmark, made on a GPU."""
    if not isinstance(report, dict) or not {"device", "rows", "matmul_tflops"} <= report.keys():
        return False
    return isinstance(report["device"], dict) and report["device"].get("type") == "cuda"
