"""Operations of a training job, from the settings that the job reads.

Run: pytest tests/commands/test_train_flops.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from commands.workbench import Workbench

from titok.commands import train
from titok.config.data_jobs import TokensJob
from titok.config.load import load_job
from titok.config.training_jobs import ClassifierJob, GeneratorJob, SingleStageJob, Stage1Job, Stage2Job, VQGANJob
from titok.models.flops import decoder_flops, encoder_flops, generator_flops
from titok.training.flops import step_of_job


def test_every_training_has_its_operations(bench: Workbench) -> None:
    jobs = {
        "stage1": (Stage1Job, "two"),
        "stage2": (Stage2Job, "two"),
        "single_stage": (SingleStageJob, "one"),
        "generator": (GeneratorJob, "g"),
        "classifier": (ClassifierJob, "judge"),
        "vqgan": (VQGANJob, "all"),
    }
    found = {}
    for task, (kind, name) in jobs.items():
        job = load_job(bench.config(task, name), kind)
        found[task] = step_of_job(job).late
        if task == "stage1":
            trained = encoder_flops(job.model).training + decoder_flops(job.model).training
            assert trained < found[task] < 2 * trained + 10**8
        if task == "generator":
            assert found[task] == generator_flops(job.model).training
    assert all(count > 0 for count in found.values())
    assert found["stage2"] != found["single_stage"]


def test_other_jobs_are_no_trainings(bench: Workbench) -> None:
    with pytest.raises(TypeError, match="TokensJob is no training"):
        step_of_job(load_job(bench.config("tokens", "all"), TokensJob))


def test_a_training_on_a_known_device_logs_its_share(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "device_peaks", lambda device: {"fp32": 1e12})
    paths = {"state": tmp_path / "state", "output": tmp_path / "model.safetensors", "data": bench.train_data}
    document = yaml.safe_load(bench.config("stage2", "two").read_text())
    document["training"]["log_every"] = 2
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(document))
    critic = {"init": bench.model("stage1"), "critic": bench.model("critic")}
    bench.run("train", "stage2", config=config, seed=0, **paths, **critic)
    step = step_of_job(load_job(config, Stage2Job))  # the discriminator joins at step 2
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    shares = [line["mfu"] * 1e12 / line["images_per_second"] for line in lines]
    assert shares == pytest.approx([step.late - step.adversary, step.late])
    assert step.adversary > 0
