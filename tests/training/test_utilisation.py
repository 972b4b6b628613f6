"""Model FLOPs utilisation: the devices' published rates, and the share that the log shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from training.tiny import build

from titok.config.training import Compute
from titok.training.loop import train
from titok.training.operations import BOARDS, PEAKS, StepFlops, by_arithmetic, named_peaks
from titok.training.utilisation import Utilisation, device_peaks


@pytest.mark.parametrize(
    ("name", "arithmetic", "teraflops"),
    [
        ("NVIDIA A100-SXM4-40GB", "fp32", 19.5),
        ("NVIDIA A100-SXM4-40GB", "tf32", 156),
        ("NVIDIA A100 80GB PCIe", "half", 312),
        ("NVIDIA H100 80GB HBM3", "half", 989.4),
        ("NVIDIA H100 PCIe", "half", 756),
        ("NVIDIA H100 NVL", "half", 835.5),
        ("NVIDIA H200", "tf32", 494.7),
        ("NVIDIA H200 NVL", "tf32", 417.5),
        ("NVIDIA GH200 480GB", "half", 989.4),
    ],
)
def test_peaks_are_the_makers(name: str, arithmetic: str, teraflops: float) -> None:
    peaks = named_peaks(name)
    assert peaks is not None
    assert peaks[arithmetic] == pytest.approx(teraflops * 1e12)


def test_tensor_cores_are_counted_without_sparsity() -> None:
    """Half precision has twice TF32's rate on all of them; the sheets' figures with sparsity would be twice again."""
    for rates in (PEAKS | BOARDS).values():
        assert rates["half"] == pytest.approx(2 * rates["tf32"], rel=2e-3)  # the sheets round
        assert rates["half"] < 1000e12


@pytest.mark.parametrize("name", ["NVIDIA H100 80GB HBM3 MIG 1g.10gb", "Some Other GPU"])
def test_of_some_devices_nobody_has_said(name: str) -> None:
    assert named_peaks(name) is None
    assert device_peaks(torch.device("cpu")) is None


STEP = StepFlops(frozen=100, model=1000, perceptual=10, adversary=300, start_step=8)
HALF = Compute(precision="bf16", tf32=True)


@pytest.mark.parametrize(
    ("task", "compute", "expected"),
    [
        ("stage1", HALF, {"half": 1000, "tf32": 410}),  # the proxy VQGAN looks on in float32
        ("stage2", HALF, {"half": 1100, "tf32": 310}),
        ("stage2", Compute(precision="fp16"), {"half": 1100, "fp32": 310}),
        ("stage2", Compute(tf32=True), {"tf32": 1410}),
    ],
)
def test_losses_and_proxy_codes_are_not_of_half_precision(
    task: str, compute: Compute, expected: dict[str, float]
) -> None:
    assert by_arithmetic(STEP, task, compute) == expected


def test_each_arithmetic_has_its_own_peak() -> None:
    use = Utilisation(STEP, "stage2", HALF, {"half": 1000.0, "tf32": 100.0}, num_devices=2)
    # 1.1 s + 3.1 s of one device per image at its peak; before step 8 the discriminator does not play.
    assert use.share(0.1, 8, 12) == pytest.approx(0.1 * (1.1 + 3.1) / 2)
    assert use.share(0.1, 4, 8) == pytest.approx(0.1 * (1.1 + 0.1) / 2)
    assert use.share(0.1, 6, 10) == pytest.approx(0.1 * (1.1 + 1.6) / 2)


def test_the_log_shows_the_share_before_and_after_the_discriminator_joins(tmp_path: Path) -> None:
    task, batches, settings = build("stage2", steps=12, log_every=4)
    step = STEP._replace(start_step=6)
    use = Utilisation(step, "stage2", Compute(), {"fp32": 1e6})
    folders = {"state_dir": tmp_path / "state", "output_dir": tmp_path}
    train(task, batches, settings, seed=0, config={}, utilisation=use, **folders)
    lines = list(map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines()))
    for line, flops in zip(lines, [1110, 1260, 1410], strict=True):  # none, half and all of the steps
        assert line["mfu"] == pytest.approx(line["images_per_second"] * flops / 1e6)
