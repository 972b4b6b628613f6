"""Which instructions compute: the processor's best (native), or those that every x86-64 processor of today has.

Libraries choose their kernels by the processor they meet, and other kernels round otherwise: the same training ends
with other weights on another machine. ``portable`` takes that choice away, for one thread and kernels of AVX2 at most.
It is meant for small networks, whose time goes elsewhere; for large ones it costs a factor (docs/arithmetic.md).

The libraries read their environment once, when they are loaded. So this module imports nothing that computes, and
``use`` comes before torch, numpy and scipy, in every process.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import yaml

from titok.errors import MachineError

Arithmetic = Literal["portable", "native"]

PORTABLE: Mapping[str, str] = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
    # MKL's matrix products and LAPACK. `AVX2` would not do: Intel's and AMD's processors take other paths under it.
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # convolutions
    "OPENBLAS_CORETYPE": "Haswell",  # numpy's and scipy's linear algebra
    # numpy's loops: this group of features and nothing newer, which unlike naming those to leave out needs no list that
    # grows with processors. A numpy that does not know the group takes its baseline, alike everywhere, too.
    "NPY_ENABLE_CPU_FEATURES": "X86_V3",
    # Sums are cut into as many parts as there are threads.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_CONTRARY = (
    *("NPY_DISABLE_CPU_FEATURES", "MKL_ENABLE_INSTRUCTIONS", "DNNL_MAX_CPU_ISA"),
    *("OPENBLAS_L2_SIZE", "OPENBLAS_BLOCK_FACTOR"),  # how products are cut into blocks
    *("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"),  # float32 by way of bfloat16
)
"""Variables that would undo one of these, say the same otherwise, or change the numbers in another way."""
_WITH_KERNELS = ("numpy", "scipy", "torch")
_NEEDED = frozenset({"avx2", "fma"})
_THREADS = frozenset(name for name in PORTABLE if name.endswith("_NUM_THREADS"))


def use(arithmetic: Arithmetic) -> None:
    """Makes this process, and those it starts, compute so; ``native`` leaves everything as it is.

    Variables of the user's that say otherwise are overruled, with a word (but for numbers of threads, which many
    machines set).

    Raises:
        MachineError: the processor lacks instructions, or a library that chose its kernels already is loaded.
    """
    if arithmetic == "native" or not _is_x86_64() or current() == "portable":
        return
    missing = _NEEDED - _instructions() if _instructions() else set()
    if missing:
        raise MachineError(
            f"arithmetic is 'portable', which needs a processor with {_listed(_NEEDED)}, and this "
            f"one has no {_listed(missing)}; set `arithmetic: native` in the study (its numbers "
            f"will differ from those of other machines)"
        )
    loaded = [name for name in _WITH_KERNELS if name in sys.modules]
    if loaded:
        raise MachineError(
            f"arithmetic is 'portable', but this process imported {' and '.join(loaded)} before, with other kernels; "
            f"start the verb in a process of its own (python -m titok ...), or set the variables of "
            f"titok.runtime.arithmetic.PORTABLE before"
        )
    for name in _CONTRARY:
        if name in os.environ:
            _say(f"{name} is {os.environ.pop(name)!r}, which arithmetic: portable takes away")
    for name, value in PORTABLE.items():
        if name not in _THREADS and os.environ.get(name, value) != value:
            _say(f"{name} is {os.environ[name]!r}, which arithmetic: portable sets to {value!r}")
        os.environ[name] = value


def current() -> Arithmetic:
    """How this process computes on its CPU; portable only if every variable says so."""
    clean = not any(name in os.environ for name in _CONTRARY)
    set_ = all(os.environ.get(name) == value for name, value in PORTABLE.items())
    return "portable" if clean and set_ and _is_x86_64() else "native"


def chosen() -> dict[str, str | None]:
    """Every variable by which libraries choose their kernels, as it is here; None where it is not set."""
    return {name: os.environ.get(name) for name in (*PORTABLE, *_CONTRARY)}


def asked_for(files: Iterable[Path | None]) -> Arithmetic:
    """What the first of these settings files asks for that is there; mistakes in them are for others to tell."""
    for file in files:
        if file is None:
            continue
        try:
            document = yaml.load(file.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (OSError, ValueError, yaml.YAMLError):
            return "native"
        return "portable" if isinstance(document, dict) and document.get("arithmetic") == "portable" else "native"
    return "native"


def mkl_is_slow() -> bool:
    """Whether this processor has instructions that MKL leaves unused, which oneDNN and OpenBLAS do not.

    MKL computes with AVX-512 on Intel's processors alone. Measured on two cores of an AMD Zen 5, products of this
    project's sizes in float32: MKL 194 to 224 GFLOP/s, oneDNN 379 to 496, OpenBLAS 444 to 488 (docs/experiment_log.md).
    """
    return "avx512f" in _instructions() and _maker() not in ("", "GenuineIntel")


def abilities() -> str:
    """What this machine can do, in words."""
    if not _is_x86_64():
        return f"{platform.machine()}: native only; numbers may differ from those of x86-64 processors"
    missing = sorted(_NEEDED - _instructions()) if _instructions() else []
    if missing:
        return f"native only (no {_listed(missing)}); numbers may differ from the documentation's"
    return "portable (the same numbers on every x86-64 processor with AVX2) and native"


def _is_x86_64() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")


def _instructions() -> frozenset[str]:
    """The processor's extensions as Linux names them; empty where they cannot be read."""
    return frozenset(_of_processor("flags").split())


def _maker() -> str:
    return _of_processor("vendor_id")


def _of_processor(key: str) -> str:
    """What Linux says of the first processor; empty where it cannot be read."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _listed(instructions: Iterable[str]) -> str:
    return " and ".join(name.upper() for name in sorted(instructions))


def _say(message: str) -> None:
    print(f"titok: {message}", file=sys.stderr)
