"""Where the work happens and how precisely: device, threads and TF32, chosen once per process and recorded."""

from __future__ import annotations

import ctypes
import platform
import warnings
from typing import Any

import torch

from titok.errors import MachineError
from titok.runtime.arithmetic import current
from titok.runtime.driver import installed_driver, why_no_gpu
from titok.runtime.gpus import visible_gpus

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE = 2**30
"""glibc's names for its limits, and the bytes they are set to."""


class IdleGpuWarning(UserWarning):
    """GPUs are visible, but torch cannot use them, and the work is done on the CPU."""


def select_device(
    name: str = "auto", *, allow_tf32: bool = False, try_convolutions: bool = False, num_threads: int | None = None
) -> torch.device:
    """The device to work on; sets the precision of float32 matrix products and the number of CPU threads.

    ``name``: ``auto`` (a CUDA GPU when there is one, else the CPU), ``cpu``, ``cuda``, ``cuda:<index>`` or ``mps``.
    ``allow_tf32``: let CUDA round the factors of float32 products to 10 bits of mantissa, faster and less exact (the
    official sampling script does; scores here do not unless a study says so).
    ``try_convolutions``: let cuDNN time its algorithms for each new shape and take the fastest, as the official code
    does in training and sampling (``cudnn.benchmark``). Which one wins may differ from run to run, and so may the last
    digits: what is scored does without.
    ``num_threads``: None keeps torch's choice, which respects ``OMP_NUM_THREADS``.
    """
    if num_threads is not None:
        if num_threads < 1:
            raise MachineError(f"num_threads is {num_threads}; give at least 1")
        torch.set_num_threads(num_threads)
    # The older names of the flags: once the newer `fp32_precision` is set, torch refuses to read these, and parts of
    # torch.compile still do.
    torch.backends.cuda.matmul.allow_tf32 = allow_tf32
    torch.backends.cudnn.allow_tf32 = allow_tf32
    torch.backends.cudnn.benchmark = try_convolutions
    if name == "auto" and (name := automatic_device()) == "cuda":
        name = f"cuda:{torch.cuda.current_device()}"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise MachineError(f"device is {name!r}; allowed: auto, cpu, cuda, cuda:<index>, mps") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise MachineError(f"device is {name!r}; allowed: auto, cpu, cuda, cuda:<index>, mps")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise MachineError("device is 'mps', but this machine or this torch has no Metal support; use auto or cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise MachineError(
            f"device is {name!r}, but torch sees {torch.cuda.device_count()} CUDA devices: {unusable_gpus()}. "
            f"Mend that, or say --device cpu"
        )
    if device.type == "cpu":
        _check_kernels()
        keep_freed_memory()
    return device


def _check_kernels() -> None:
    """That torch took the kernels which portable arithmetic asks for."""
    taken = torch.backends.cpu.get_cpu_capability()
    if current() == "portable" and taken != "AVX2":
        raise MachineError(
            f"arithmetic is 'portable', but torch computes with its {taken} kernels: this processor lacks AVX2, or "
            f"torch was imported before; set `arithmetic: native` in the study, or start the verb in its own process"
        )


def automatic_device() -> str:
    """``cuda`` where torch can use a GPU, else ``cpu``; warns if there are GPUs all the same."""
    if torch.cuda.is_available():
        return "cuda"
    if names := visible_gpus():
        warnings.warn(
            f"working on the CPU, although GPUs are visible here ({', '.join(names)}): {unusable_gpus()}",
            IdleGpuWarning,
            stacklevel=2,
        )
    return "cpu"


def unusable_gpus() -> str:
    """Why torch does not see (more) GPUs, as far as that can be seen."""
    return why_no_gpu(torch.version.cuda, installed_driver())


def keep_freed_memory() -> bool:
    """Lets the C library reuse large blocks instead of returning them to the system; whether it could be asked to.

    glibc maps every block beyond 32 MiB anew, and the kernel clears its pages each time: measured on a CPU, a batch
    whose activations just cross that size takes 15 % longer than two of half the size. Other C libraries, and old
    versions of glibc that refuse such a limit, are left alone.
    """
    if platform.system() != "Linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGE) and mallopt(_M_TRIM_THRESHOLD, _LARGE))


def describe_device(device: torch.device | str = "cpu") -> dict[str, Any]:
    """What about the device can change a number or a timing: kind, model, memory, threads, TF32, library versions."""
    device = torch.device(device)
    description: dict[str, Any] = {"type": device.type, "num_threads": torch.get_num_threads()}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        description |= {
            "name": properties.name,
            "memory_gib": round(properties.total_memory / 2**30, 1),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "tf32": torch.backends.cuda.matmul.allow_tf32,
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
        }
    return description
