"""Operations of a training job, from the settings that the job reads.

Run: pytest tests/commands/test_train_flops.py
"""

from __future__ import annotations

import pytest
from commands.workbench import Workbench

from titok.commands.train_flops import flops_per_image
from titok.config.job_settings import ClassifierJob, GeneratorJob, PixelStageJob, Stage1Job, TokensJob, VQGANJob
from titok.config.load import load_job
from titok.models.flops import decoder_flops, encoder_flops, generator_flops


def test_every_training_has_its_operations(bench: Workbench) -> None:
    jobs = {
        "stage1": (Stage1Job, "two"),
        "stage2": (PixelStageJob, "two"),
        "single_stage": (PixelStageJob, "one"),
        "generator": (GeneratorJob, "g"),
        "classifier": (ClassifierJob, "judge"),
        "vqgan": (VQGANJob, "all"),
    }
    found = {}
    for task, (kind, name) in jobs.items():
        job = load_job(bench.config(task, name), kind)
        found[task] = flops_per_image(job, task)
        if task == "stage1":
            trained = encoder_flops(job.model).training + decoder_flops(job.model).training
            assert trained < found[task] < 2 * trained + 10**8
        if task == "generator":
            assert found[task] == generator_flops(job.model).training
    assert all(count > 0 for count in found.values())
    assert found["stage2"] != found["single_stage"]


def test_other_jobs_are_no_trainings(bench: Workbench) -> None:
    with pytest.raises(TypeError, match="TokensJob is no training"):
        flops_per_image(load_job(bench.config("tokens", "all"), TokensJob), "tokens")
