"""What jobs take: layers of `resources`, what is refused, how Snakemake and Slurm spell it; no job's settings change.

Run: pytest tests/config/test_cluster.py
"""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from config.studies import changed, study_of, tiny_document, without

from titok.config.cluster import resources_of
from titok.config.jobs import job, job_names
from titok.config.resources import Resources
from titok.config.snakemake_resources import KEYS, snakemake_resources
from titok.config.study import Study
from titok.runtime.sums import sha256_json


def study_with(resources: dict[str, Any]) -> Study:
    return study_of(changed(tiny_document(), "resources", resources))


def test_without_a_word_a_job_takes_one_gpu_where_there_is_one() -> None:
    study = study_of(without(tiny_document(), "resources"))
    assert resources_of(study, "stage1", "s1") == Resources(nodes=1, gpus=1, cpus=1, memory_gb=8, hours=4)


def test_each_key_goes_over_the_one_before() -> None:
    study = study_with(
        {"default": {"gpus": 0, "cpus": 2}, "stage1": {"gpus": 2, "hours": 9}, "stage1/s2": {"gpus": 4, "cpus": 32}}
    )
    assert resources_of(study, "tokens") == Resources(gpus=0, cpus=2)
    assert resources_of(study, "stage1", "s1") == Resources(gpus=2, cpus=2, hours=9)
    assert resources_of(study, "stage1", "s2") == Resources(gpus=4, cpus=32, hours=9)


@pytest.mark.parametrize(
    ("taken", "processes", "workers", "gpu_hours"),
    [
        (Resources(gpus=0, hours=3), 1, 0, 0),
        (Resources(gpus=0, cpus=4, hours=3), 1, 3, 0),
        (Resources(gpus=8, nodes=4, cpus=64, hours=2), 32, 7, 64),
        (Resources(gpus=8, cpus=4), 8, 0, 32),
    ],
)
def test_what_follows(taken: Resources, processes: int, workers: int, gpu_hours: float) -> None:
    assert (taken.processes, taken.workers, taken.gpu_hours) == (processes, workers, gpu_hours)


def test_no_job_is_another_one_on_other_machines() -> None:
    here, there = study_with({}), study_with({"default": {"gpus": 1, "cpus": 9}, "stage1": {"gpus": 4, "nodes": 2}})
    for kind, name in job_names(here):
        assert sha256_json(job(here, kind, name).resolved()) == sha256_json(job(there, kind, name).resolved())


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"stage9": {}}, r"resources\.stage9 means no job; allowed: default, classifier, "),
        ({"stage1/s9": {}}, r"resources\.stage1/s9 means no job; .* stage1/s1, stage1/s2"),
        ({"data": {}}, r"resources\.data means no job"),
        ({"tokens": {"gpus": 2}}, r"kind 'tokens' get 1 machine\(s\) with 2 GPUs each, but only trainings"),
        ({"stage1": {"nodes": 2, "gpus": 0}}, r"stage1 's1' gets 2 machines without GPUs"),
        ({"stage1/s2": {"gpus": 3}}, r"stage1 's2' gets 1 x 3 GPUs, which cannot share the 32 images"),
        ({"stage1": {"gpu": 3}}, r"stage1\.gpu\b"),
        ({"stage1": {"hours": 0}}, r"stage1\.hours"),
        ({"stage1": {"stage_to": "scratch"}}, r"stage1\.stage_to"),
    ],
)
def test_mistakes_are_told(resources: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study_with(resources)


TRAINING = {"gpus": 4, "cpus": 32, "memory_gb": 100, "hours": 10}


def test_slurms_words_for_a_training_on_one_machine() -> None:
    study = study_with({"stage1": TRAINING})
    found = snakemake_resources(study, "stage1", "s1", attempt=3, in_batch_job=True)
    assert tuple(found) == KEYS
    assert {key: value for key, value in found.items() if value is not None} == {
        "launch": "--gpus 4 --nodes 1 --cpus 32 --srun",
        "workers": 7,
        "gpus": 4,
        "nodes": 1,
        "cpus_per_task": 32,
        "mem_mb": 100_000,  # tries of a training end at time limits; the next needs no more
        "runtime": 600,
        "gres": "gpu:4",
        "slurm_extra": "--signal=USR1@300",
    }


def test_slurms_words_for_a_training_on_several_machines() -> None:
    found = snakemake_resources(study_with({"stage1": {**TRAINING, "nodes": 2}}), "stage1", "s1")
    assert (found["mpi"], found["tasks"], found["tasks_per_gpu"]) == ("srun", 2, 0)
    assert (found["nodes"], found["gres"]) == (2, "gpu:4"), "a gres is counted on each machine"


@pytest.mark.parametrize(
    ("attempt", "memory", "minutes"), [(1, 4000, 60), (2, 6000, 90), (3, 8000, 120), (4, 8000, 120)]
)
def test_other_jobs_get_more_when_tried_again(attempt: int, memory: int, minutes: int) -> None:
    study = study_with({"score": {"gpus": 0, "memory_gb": 4, "hours": 1}})
    found = snakemake_resources(study, "score", attempt=attempt)
    assert (found["mem_mb"], found["runtime"]) == (memory, minutes)
    assert (found["gres"], found["slurm_extra"]) == (None, None), "a job without GPUs asks for none"


def test_a_machine_gives_what_it_has() -> None:
    study = study_with({"stage1": TRAINING})
    few = snakemake_resources(study, "stage1", "s1", gpu_limit=2, core_limit=6)
    assert (few["launch"], few["workers"]) == ("--gpus 2 --nodes 1 --cpus 6", 2)
    none = snakemake_resources(study, "stage1", "s1", gpu_limit=0, core_limit=1)
    assert (none["launch"], none["workers"]) == ("--gpus 0 --nodes 1 --cpus 1", 0)


def test_gpus_can_be_left_idle() -> None:
    study = study_with({"stage1": {**TRAINING, "device": "cpu"}})
    assert snakemake_resources(study, "stage1", "s1")["launch"] == "--gpus 4 --nodes 1 --cpus 32 --device cpu"


@pytest.mark.parametrize("folder", ["/local/scratch", "$TMPDIR/my data", "~/x"])
def test_trainings_are_told_where_to_copy_images(folder: str) -> None:
    """As one word of the shell that it does not read: variables are those of the machine that copies."""
    study = study_with({"default": {"gpus": 0, "stage_to": folder}})
    assert shlex.split(snakemake_resources(study, "stage1", "s1")["launch"])[-2:] == ["--stage-to", folder]
    assert "'$TMPDIR" in snakemake_resources(study, "stage1", "s1")["launch"] or "$" not in folder
    assert "stage-to" not in snakemake_resources(study, "score")["launch"], "a score reads once"


def test_short_jobs_are_warned_in_time() -> None:
    study = study_with({"default": {"gpus": 0, "hours": 0.05}})
    assert snakemake_resources(study, "stage1", "s1")["slurm_extra"] == "--signal=USR1@45"
