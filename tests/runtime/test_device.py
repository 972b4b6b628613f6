"""The choice of device, its flags and its description."""

from __future__ import annotations

import pytest
import torch

from titok.errors import MachineError
from titok.runtime import device as device_module
from titok.runtime.device import describe_device, select_device


@pytest.fixture(autouse=True)
def restored():
    threads, cudnn = torch.get_num_threads(), torch.backends.cudnn
    flags = torch.backends.cuda.matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    yield
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = flags


def test_auto_takes_a_gpu_if_there_is_one():
    assert select_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert select_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("allow", [True, False])
def test_tf32_is_one_decision(allow):
    select_device("cpu", allow_tf32=allow)
    assert torch.backends.cuda.matmul.allow_tf32 is allow
    assert torch.backends.cudnn.allow_tf32 is allow
    torch.get_float32_matmul_precision()  # torch.compile asks; mixed flag styles make it raise.


def test_convolutions_are_tried_where_that_was_asked_for_and_nowhere_else():
    select_device("cpu", try_convolutions=True)
    assert torch.backends.cudnn.benchmark
    select_device("cpu")
    assert not torch.backends.cudnn.benchmark


def test_threads_are_set_and_described():
    select_device("cpu", num_threads=1)
    assert describe_device("cpu") == {"type": "cpu", "num_threads": 1}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        # Whatever is wrong, the message says it.
        ("cuda:99", "this torch was built without CUDA|no NVIDIA driver answers here|the driver"),
        ("gpu", "device is 'gpu'; allowed: auto, cpu, cuda"),
        ("meta", "device is 'meta'; allowed"),
        ("cuda:99", r"device is 'cuda:99', but torch sees \d+ CUDA devices"),
    ],
)
def test_other_devices_are_refused(name, message):
    with pytest.raises(MachineError, match=message):
        select_device(name)


@pytest.mark.parametrize(("visible", "warns"), [("0", True), ("GPU-1,GPU-2", True), ("", False), ("NoDevFiles", False)])
def test_auto_does_not_pass_over_gpus_in_silence(
    visible: str, warns: bool, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert select_device("auto") == torch.device("cpu")
    said = [str(warning.message) for warning in recwarn]
    assert [
        f"working on the CPU, although GPUs are visible here ({visible.replace(',', ', ')}): " in text for text in said
    ] == [True] * warns


def test_thread_counts_are_checked():
    with pytest.raises(MachineError, match="num_threads is 0"):
        select_device("cpu", num_threads=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_is_described():
    description = describe_device(select_device("cuda", allow_tf32=True, try_convolutions=True))
    assert description["cudnn_benchmark"] is True
    assert description["name"] == torch.cuda.get_device_name()
    assert description["tf32"] is True
    assert description["memory_gib"] > 1


def test_large_blocks_are_reused_where_the_c_library_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module.platform, "system", lambda: "Darwin")
    assert not device_module.keep_freed_memory()
    monkeypatch.undo()
    library, version = device_module.platform.libc_ver()
    if library == "glibc" and tuple(map(int, version.split("."))) >= (2, 35):
        assert device_module.keep_freed_memory()
