"""Why a GPU cannot be used: the driver beside the CUDA version that torch was built for.

Run: pytest tests/runtime/test_driver.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from titok.runtime.driver import installed_driver, is_too_old, oldest_driver, why_no_gpu

CLOSED = """\
NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024
GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)
"""
OPEN = """\
NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (builder)  Fri Jul 25 20:14:08
GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04)
"""


def nvidia_smi(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(("text", "version"), [(CLOSED, "535.183.01"), (OPEN, "580.65.06")])
def test_the_kernel_says_which_driver_is_loaded(text: str, version: str, tmp_path: Path) -> None:
    (tmp_path / "version").write_text(text)
    assert installed_driver(tmp_path / "version") == version


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo 580.95.05; echo 580.95.05", "580.95.05"),
        ("echo 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver.'; exit 9", None),
        ("echo '[N/A]'", None),
    ],
)
def test_else_nvidia_smi_is_asked(
    script: str, version: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi(tmp_path, script, monkeypatch)
    assert installed_driver(tmp_path / "absent") == version


@pytest.mark.parametrize(
    ("driver", "cuda", "old"),
    [
        ("579.99", "13.2", True),
        ("580.65.06", "13.2", False),
        ("595.10", "13.0", False),
        ("524.1", "12.8", True),
        ("525.60.13", "12.8", False),
        ("1.0", "99.0", False),
    ],
)
def test_how_old_a_driver_may_be(driver: str, cuda: str, old: bool) -> None:
    assert is_too_old(driver, cuda) is old


def test_the_cuda_version_of_this_torch_is_known() -> None:
    assert torch.version.cuda is None or oldest_driver(torch.version.cuda) is not None


@pytest.mark.parametrize(
    ("cuda", "driver", "reason"),
    [
        (None, "580.1", "this torch was built without CUDA"),
        ("13.2", None, "no NVIDIA driver answers here, and CUDA 13.2 of this torch needs 580 or newer"),
        ("13.2", "535.183.01", "the driver is 535.183.01, but CUDA 13.2 of this torch needs 580 or newer"),
        ("13.2", "580.65.06", "the driver 580.65.06 is new enough for CUDA 13.2; CUDA_VISIBLE_DEVICES is '7'"),
    ],
)
def test_the_reason(cuda: str | None, driver: str | None, reason: str) -> None:
    assert why_no_gpu(cuda, driver, {"CUDA_VISIBLE_DEVICES": "7"}).startswith(reason)
