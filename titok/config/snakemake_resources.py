"""What a job takes, spelled as Snakemake and its Slurm plugin want it."""

from __future__ import annotations

import shlex

from titok.config.cluster import resources_of
from titok.config.jobs import TRAININGS
from titok.config.study import Study

KEYS = (
    "launch",
    "workers",
    "gpus",
    "nodes",
    "cpus_per_task",
    "mem_mb",
    "runtime",
    "gres",
    "mpi",
    "tasks",
    "tasks_per_gpu",
    "slurm_extra",
)
"""What ``snakemake_resources`` has, whatever the job."""

WARNING_SECONDS = 300
"""How long before its time limit a training is told to save; Slurm itself gives no more than its KillWait, often 30."""


def snakemake_resources(
    study: Study,
    kind: str,
    name: str = "all",
    *,
    attempt: int = 1,
    gpu_limit: int | None = None,
    core_limit: int | None = None,
    in_batch_job: bool = False,
) -> dict[str, int | str | None]:
    """The resources of a job's rule; None where it has none of a name.

    ``gpu_limit``, ``core_limit``: what this machine has for all jobs, where no batch system knows it.
    ``in_batch_job``: the job runs here and now, in a Slurm job.

    A second try of a job gets half as much more memory and time, later ones twice as much. Not so trainings: they go
    on where they stopped, and most of their tries end at a time limit and need nothing more than the ones before.
    """
    taken, is_training = resources_of(study, kind, name), kind in TRAININGS
    grown = 1.0 if is_training else min(1 + 0.5 * (attempt - 1), 2.0)
    minutes = max(round(60 * taken.hours * grown), 1)
    warning = min(WARNING_SECONDS, 60 * minutes // 4)
    several = taken.nodes > 1
    here = taken.on_a_machine_with(gpu_limit, core_limit)
    launch = f"--gpus {here.gpus} --nodes {here.nodes} --cpus {here.cpus}"
    launch += " --device cpu" if here.device == "cpu" else ""
    if here.stage_to and is_training:  # quoted, for variables are those of the machine that reads
        launch += f" --stage-to {shlex.quote(here.stage_to)}"
    return {
        "launch": f"{launch} --srun" if in_batch_job else launch,  # options of `titok launch`
        "workers": here.workers,
        "gpus": taken.gpus,  # on each machine, also what Snakemake counts where there is no Slurm
        "nodes": taken.nodes,
        "cpus_per_task": taken.cpus,  # Slurm's; `threads` would be cut to the cores of the login node
        "mem_mb": round(1000 * taken.memory_gb * grown),
        "runtime": minutes,
        "gres": f"gpu:{taken.gpus}" if taken.gpus else None,
        # One Slurm job with one launcher on each machine. Without the 0 the plugin would want a task for each GPU, too.
        "mpi": "srun" if several else None,
        "tasks": taken.nodes if several else None,
        "tasks_per_gpu": 0 if several else None,
        "slurm_extra": f"--signal=USR1@{warning}" if is_training else None,
    }
