"""What one job takes of machines: a section of the study that is no part of a job's resolved settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from titok.config.section import NonNegativeInt, PositiveFloat, PositiveInt, Section


class Resources(Section):
    """What one job takes. Memory and hours only matter to a batch system."""

    nodes: PositiveInt = 1
    """Machines; more than one is for trainings under Slurm. Elsewhere a job has one."""
    gpus: NonNegativeInt = 1
    """GPUs of each machine, one process for each; 0 hides them. A machine that has fewer gives what it has."""
    device: Literal["cuda", "cpu"] = "cuda"
    """What a job with GPUs computes on; `cpu` leaves them idle, to try out how processes share work."""
    cpus: PositiveInt = 1
    """Cores of each machine; those that no process needs decode images."""
    memory_gb: PositiveFloat = 8.0
    """Memory of each machine, in units of 10^9 bytes."""
    hours: PositiveFloat = 4.0
    """Time limit. A training that reaches it goes on in the next try."""
    stage_to: Annotated[str, Field(pattern=r"^[/~$]")] | None = None
    """Folder on a disk of each machine, e.g. `/local/scratch` or `$TMPDIR`, to which a training first copies the shards
    that it reads all the time; a copy that is there is used again. Null: they are read where they lie."""

    @property
    def processes(self) -> int:
        """How many processes share a training."""
        return self.nodes * max(self.gpus, 1)

    @property
    def workers(self) -> int:
        """Processes that decode images for each process of the job: one for each core that is left."""
        return self.cpus // max(self.gpus, 1) - 1 if self.cpus > max(self.gpus, 1) else 0

    def on_a_machine_with(self, gpus: int | None, cpus: int | None) -> Resources:
        """The same on a machine that has no more; None: it has enough."""
        limits = {"gpus": gpus, "cpus": cpus}
        return self.model_copy(
            update={name: min(getattr(self, name), limit) for name, limit in limits.items() if limit is not None}
        )

    @property
    def gpu_hours(self) -> float:
        """GPU hours if the job takes all its time."""
        return self.nodes * self.gpus * self.hours
