"""The small study's workflow in a folder of its own, and how far its trainings are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml
from config.studies import ROOT
from slurm.cluster import Cluster, Job, command, until

from titok.config.study import Study
from titok.config.targets import Targets
from titok.runtime.ownership import owner_of

HERE = ROOT / "tests" / "slurm"
QUICK = (
    "--slurm-init-seconds-before-status-checks",
    "2",
    "--seconds-between-status-checks",
    "2",
    "--latency-wait",
    "10",
)
"""Clusters are asked less often than a test can wait."""
STAGE1 = "tokenizers/s2/seed0/stage1"
STAGE2 = "tokenizers/s2/seed0/stage2"
GENERATOR = "generators/s2-vit/seed0"


class Flow:
    """`snakemake` on the study in a new folder, where `slurm` and `config` are those of the project.

    ``changes``: words of the study and those in their place.
    """

    def __init__(self, folder: Path, changes: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("config", "slurm"):
            (folder / name).symlink_to(ROOT / name)
        text = (HERE / "small.yaml").read_text()
        for old, new in (changes or {}).items():
            assert old in text
            text = text.replace(old, new)
        (folder / "small.yaml").write_text(text)
        self.results = folder / "results" / "small"
        self.log = folder / "snakemake.log"
        self.snakemake: subprocess.Popen[bytes] | None = None
        """The one that submits jobs."""
        self.targets = Targets(Study.model_validate(yaml.safe_load((HERE / "small.yaml").read_text())))

    def start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """`snakemake --cores all WORD...`; what it says is appended to ``log``."""
        line = [sys.executable, str(HERE / "impatient.py"), "--snakefile", str(ROOT / "Snakefile"), "--directory", "."]
        line += ["--cores", "all", *words, "--config", "study=small.yaml"]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        variables = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
        with self.log.open("ab") as log:
            return subprocess.Popen(line, cwd=self.folder, env=variables, stdout=log, stderr=log)

    def start_slurm(self) -> subprocess.Popen[bytes]:
        """`snakemake --cores all --profile slurm`, everything but the verdict: these numbers mean nothing."""
        wanted = [path for path in self.targets.everything() if not path.endswith("verdict.txt")]
        partitions = str(HERE / "partitions.yaml")
        self.snakemake = self.start(*wanted, "--profile", "slurm", "--slurm-partition-config", partitions, *QUICK)
        return self.snakemake

    def steps(self, training: str) -> list[int]:
        """Steps in the log of a training, so far."""
        found = sorted(self.results.glob(f"training/{training}/*/metrics.jsonl"))
        lines = found[0].read_bytes().splitlines() if found else []
        return [json.loads(line)["step"] for line in lines if line.endswith(b"}")]

    def checkpoints(self, training: str) -> list[int]:
        """Steps of the checkpoints that are there, the newest last; trainings keep two."""
        found = self.results.glob(f"training/{training}/*/step-*.pt")
        return sorted(int(path.stem.removeprefix("step-")) for path in found)

    def running(self, cluster: Cluster, rule: str, training: str, beyond: int, besides: tuple[Job, ...] = ()) -> Job:
        """The job of a rule, as soon as its training has got ``beyond`` a step; other jobs of the rule are over.

        A training that began anew would fall behind, which is refused.
        """
        found: list[Job] = []
        known = {job.id for job in besides}

        def is_there() -> bool:
            assert self.snakemake is not None
            assert self.snakemake.poll() is None, self.tail()
            steps = self.steps(training)
            assert not known or (steps and steps[-1] >= self.checkpoints(training)[-1]), f"{rule} began anew"
            found[:] = [job for job in cluster.jobs() if job.rule == rule and job.id not in known]
            return bool(found) and found[0].state == "RUNNING" and bool(steps) and steps[-1] > beyond

        until(is_there, f"{rule} trains beyond step {beyond}", seconds=400)
        return found[0]

    def process(self, training: str) -> int:
        """The (first) process of a running training."""
        (lock,) = self.results.glob(f"training/{training}/*/owner.lock")
        owner = owner_of(lock)
        assert owner is not None
        assert owner.process is not None
        return owner.process

    def freeze(self, training: str, number: signal.Signals = signal.SIGSTOP) -> int:
        """Stops the process of a running training until somebody continues it, by SIGCONT; returns the process."""
        process = self.process(training)
        os.kill(process, number)
        return process

    def told(self, process: int, number: signal.Signals, rule: str, seconds: float) -> None:
        """Waits until torchrun has passed a signal on to a frozen process, which cannot take it yet.

        What torchrun says of it is no witness: srun writes it down, which may be gone by then.
        """
        try:
            until(lambda: is_pending(process, number), f"{number.name} reaches {process}", seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{state(process)}\n{self.said(rule)[-3000:]}\n{self.tail()}") from None

    def said(self, rule: str) -> str:
        """What the only job of a rule says."""
        (log,) = (self.folder / "logs" / "small" / rule).glob("*.log")
        return log.read_text()

    def stopped(self, cluster: Cluster, job: Job, training: str) -> int:
        """Waits until a job that was told to stop has done so; returns the step that it saved."""
        until(lambda: cluster.job(job.id).state not in ("RUNNING", "COMPLETING"), f"job {job.id} stops", seconds=90)
        return self.checkpoints(training)[-1]

    def tail(self) -> str:
        """The end of what Snakemake said."""
        return self.log.read_text()[-3000:] if self.log.exists() else ""


def is_pending(process: int, number: signal.Signals) -> bool:
    """Whether a signal waits for a process, or Slurm has woken it up to take it."""
    lines = dict(line.split(":\t", 1) for line in state(process).splitlines() if ":\t" in line)
    return bool(int(lines["ShdPnd"], 16) >> (number - 1) & 1) or not lines["State"].startswith("T")


def state(process: int) -> str:
    """What the kernel says of a process, which is there."""
    return Path(f"/proc/{process}/status").read_text()


def preempt(cluster: Cluster, victim: Job) -> None:
    """Sends an urgent job to all GPU nodes; returns when the victim is back in the queue, and ready to start again."""
    command("sbatch", "-p", "urgent", "-N2", "--exclusive", "-t", "1", "-o", "/dev/null", "--wrap", "sleep 1")
    until(lambda: cluster.job(victim.id).state == "PENDING", "the job is back in the queue", seconds=90)
    for job in cluster.jobs():  # whatever else was there
        if job.facts["Reason"] == "BeginTime":
            command("scontrol", "update", f"JobId={job.id}", "StartTime=now")  # Slurm would wait for two minutes
