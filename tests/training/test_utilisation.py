"""Model FLOPs utilisation: the devices' published rates, and the share that the log shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from training.toy import ToyBatches, ToyTask, toy_training

from titok.config.training import Compute
from titok.training.loop import train
from titok.training.utilisation import Utilisation, device_peak, named_peak


@pytest.mark.parametrize(
    ("name", "compute", "teraflops"),
    [
        ("NVIDIA A100-SXM4-40GB", Compute(), 19.5),
        ("NVIDIA A100-SXM4-40GB", Compute(tf32=True), 156),
        ("NVIDIA A100 80GB PCIe", Compute(precision="bf16", tf32=True), 312),
        ("NVIDIA H100 80GB HBM3", Compute(precision="fp16"), 989.4),
        ("NVIDIA H100 PCIe", Compute(precision="bf16"), 756),
        ("NVIDIA H100 NVL", Compute(precision="bf16"), 835.5),
        ("NVIDIA H200", Compute(tf32=True), 494.7),
        ("NVIDIA H200 NVL", Compute(tf32=True), 417.5),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", Compute(), None),
        ("Some Other GPU", Compute(), None),
    ],
)
def test_peaks_are_the_makers(name: str, compute: Compute, teraflops: float | None) -> None:
    assert named_peak(name, compute) == (None if teraflops is None else pytest.approx(teraflops * 1e12))


def test_processors_have_none() -> None:
    assert device_peak(torch.device("cpu"), Compute()) is None


def test_the_log_shows_the_share(tmp_path: Path) -> None:
    folders = {"state_dir": tmp_path / "state", "output_dir": tmp_path}
    use = Utilisation(flops_per_image=1000.0, peak=4e6)
    training = toy_training()
    train(ToyTask(training), ToyBatches(), training, seed=0, config={}, utilisation=use, **folders)
    for line in map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines()):
        assert line["mfu"] == pytest.approx(line["images_per_second"] * 1000 / 4e6)
