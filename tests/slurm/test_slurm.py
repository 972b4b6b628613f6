"""`snakemake --cores all --profile slurm` on a real Slurm: what jobs get there, and that nothing is lost with them.

Run as root on Debian, after apt-get install slurm-wlm munge: pytest -m slurm tests/slurm (about six minutes)
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from slurm.cluster import Cluster, Job, command
from slurm.flow import GENERATOR, STAGE1, STAGE2, Flow, preempt

from titok.runtime.files import sha256_file

pytestmark = pytest.mark.slurm

TRAININGS = (STAGE1, STAGE2, GENERATOR)


class Story(NamedTuple):
    """A workflow that was disturbed in every way, and all of its jobs as Slurm remembers them."""

    flow: Flow
    jobs: list[Job]
    first_stops: dict[str, int]
    """Training -> the step at which it was interrupted first."""

    def of(self, rule: str) -> list[Job]:
        return [job for job in self.jobs if job.rule == rule]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flow]:
    """The same trainings here, in one go, on two GPUs that are left idle, too; this machine stands for two.

    They run while the story waits for Slurm.
    """
    flow = Flow(tmp_path_factory.mktemp("local") / "flow", {"stage2: {nodes: 2, gpus: 1}": "stage2: {gpus: 2}"})
    wanted = [f"results/small/{training}/model.safetensors" for training in TRAININGS]
    flow.snakemake = flow.start(*wanted, CUDA_VISIBLE_DEVICES="0,1")
    try:
        yield flow
    finally:
        flow.snakemake.terminate()
        flow.snakemake.wait()


@pytest.fixture(scope="module")
def story(cluster: Cluster, local: Flow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    flow = Flow(tmp_path_factory.mktemp("slurm") / "flow")
    try:
        yield disturbed(flow, cluster)
    finally:
        if flow.snakemake is not None:
            flow.snakemake.kill()


def disturbed(flow: Flow, cluster: Cluster) -> Story:
    """Runs the workflow; each of three trainings is interrupted, two of them twice."""
    snakemake = flow.start_slurm()

    # What Slurm sends before a time limit, to a training of one process.
    warned = flow.running(cluster, "train_stage1", STAGE1, beyond=10)
    command("scancel", "--signal=USR1", warned.id)
    first_stops = {STAGE1: flow.stopped(cluster, warned, STAGE1)}

    # The next try outlives its Snakemake; another one submits the same job once more.
    flow.running(cluster, "train_stage1", STAGE1, beyond=first_stops[STAGE1], besides=(warned,))
    flow.freeze(STAGE1)  # so that it does not finish meanwhile; Slurm wakes up what it wants to end
    snakemake.kill()
    snakemake.wait()
    assert flow.start("--unlock").wait() == 0, flow.tail()
    snakemake = flow.start_slurm()

    # Two trainings of two processes, the first on two machines; both are held until torchrun has told them to stop.
    cancelled = flow.running(cluster, "train_stage2", STAGE2, beyond=10)
    held = flow.freeze(STAGE2)
    limited = flow.running(cluster, "train_generator", GENERATOR, beyond=10)
    held_too = flow.freeze(GENERATOR)
    command("scancel", cancelled.id)
    flow.told(held, signal.SIGTERM, "train_stage2", seconds=25)
    flow.freeze(STAGE2, signal.SIGCONT)
    first_stops[STAGE2] = flow.stopped(cluster, cancelled, STAGE2)
    command("scontrol", "update", f"JobId={limited.id}", "TimeLimit=5")  # all of it is the warning's 5 minutes
    flow.told(held_too, signal.SIGUSR1, "train_generator", seconds=90)
    flow.freeze(GENERATOR, signal.SIGCONT)
    first_stops[GENERATOR] = flow.stopped(cluster, limited, GENERATOR)

    preempted = flow.running(cluster, "train_generator", GENERATOR, first_stops[GENERATOR], besides=(limited,))
    preempt(cluster, preempted)

    assert snakemake.wait(timeout=400) == 0, flow.tail()
    return Story(flow, cluster.jobs(), first_stops)


def test_everything_was_made(story: Story) -> None:
    for path in story.flow.targets.everything():
        if not path.endswith("verdict.txt"):
            assert (story.flow.folder / path).stat().st_size > 0, path


CPU = {"Partition": "cpu", "NumNodes": "1", "NumCPUs": "1", "MinMemoryNode": "2000M", "TimeLimit": "00:30:00"}


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("prepare_data", {"Partition": "cpu", "MinMemoryNode": "4000M", "TimeLimit": "00:30:00"}),
        ("train_classifier", CPU),
        ("train_vqgan", CPU),
        ("extract_tokens", CPU),
        ("sample_generator", CPU),
        ("score_generation", CPU),
        ("train_stage1", {"Partition": "gpu", "TresPerNode": "gres:gpu:1", "NumCPUs": "1", "MinMemoryNode": "3000M"}),
        ("train_stage2", {"Partition": "gpu", "TresPerNode": "gres:gpu:1", "NumNodes": "2", "NumTasks": "2"}),
        ("train_generator", {"Partition": "gpu", "TresPerNode": "gres:gpu:2", "NumNodes": "1", "CPUs/Task": "4"}),
    ],
)
def test_jobs_ran_where_they_belong_with_what_they_asked_for(story: Story, rule: str, wanted: dict[str, str]) -> None:
    jobs = story.of(rule)
    assert jobs
    assert jobs[-1].state == "COMPLETED"
    for job in jobs:
        assert {key: job.facts.get(key) for key in wanted} == wanted
        assert job.facts["Requeue"] == "1"
        assert ("TresPerNode" in job.facts) == ("TresPerNode" in wanted), "who needs no GPU asks for none"


def test_everything_but_settings_went_to_the_cluster(story: Story) -> None:
    """Tables and the page, seconds each, are one job."""
    rules = {job.rule for job in story.jobs if not job.rule.startswith("reporting_")}
    assert rules == {
        "prepare_data",
        "train_classifier",
        "train_vqgan",
        "train_stage1",
        "train_stage2",
        "train_generator",
        "extract_tokens",
        "sample_generator",
        "score_vqgan",
        "score_reconstruction",
        "score_generation",
        "",  # the urgent job
    }
    reporting = [job for job in story.jobs if job.rule.startswith("reporting_")]
    assert [(job.state, job.facts["Partition"]) for job in reporting] == [("COMPLETED", "cpu")]


def test_interrupted_jobs_were_tried_again_and_preempted_ones_requeued(story: Story) -> None:
    assert [job.state for job in story.of("train_stage1")] == ["FAILED", "CANCELLED", "COMPLETED"]
    assert [job.state for job in story.of("train_stage2")] == ["CANCELLED", "COMPLETED"]
    assert [job.state for job in story.of("train_generator")] == ["FAILED", "COMPLETED"]
    assert [job.facts["Restarts"] for job in story.of("train_generator")] == ["0", "1"]


def test_the_orphan_was_told_and_cancelled(story: Story) -> None:
    orphan = story.of("train_stage1")[1]
    (log,) = (story.flow.folder / "logs/small/train_stage1").glob("*.log")
    assert f"Slurm job {orphan.id}, left over from another Snakemake" in log.read_text()


@pytest.mark.parametrize(("training", "steps"), [(STAGE1, 500), (STAGE2, 150), (GENERATOR, 500)])
def test_trainings_went_on_where_they_stopped(story: Story, training: str, steps: int) -> None:
    second, last = story.flow.checkpoints(training)
    assert 0 < story.first_stops[training] <= second < last == steps
    if training != STAGE2:
        assert story.first_stops[training] < second, "each of three tries got further"
    assert story.flow.steps(training) == list(range(1, steps + 1)), "no step twice, none left out"


def test_processes_met_on_two_machines(story: Story) -> None:
    """Stage 2 has one process on each of two nodes, the generator two on one."""
    for folder in ("tokenizers/s2/seed0/stage2", GENERATOR):
        manifest = (story.flow.results / folder / "manifest.json").read_text()
        assert '"processes": 2' in manifest


@pytest.fixture(scope="module")
def unbroken(local: Flow) -> Flow:
    """The trainings here, when they are done."""
    assert local.snakemake is not None
    assert local.snakemake.wait(timeout=600) == 0, local.tail()
    return local


@pytest.mark.parametrize("training", TRAININGS)
def test_weights_are_those_of_an_unbroken_run(story: Story, unbroken: Flow, training: str) -> None:
    ours, theirs = (flow.results / training / "model.safetensors" for flow in (story.flow, unbroken))
    assert sha256_file(ours) == sha256_file(theirs)
