"""Jobs that sample and score what was trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Self

from titok.config.data import Dataset
from titok.config.evaluation import Evaluation
from titok.config.job import ALL, Job
from titok.config.probe import LinearProbe
from titok.config.sampling import Sampler
from titok.config.section import Operational, PositiveInt
from titok.config.study import Study
from titok.config.throughput import Throughput


class SampleJob(Job):
    """`titok sample`."""

    kind: ClassVar[str] = "sample"
    section: ClassVar[str] = "samplers"
    wildcard: ClassVar[str] = "sampler"

    sampler: Sampler
    num_samples: PositiveInt
    num_classes: PositiveInt
    batch_size: Annotated[PositiveInt, Operational()]

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """Every sampler, whatever it is tried on."""
        return study.samplers

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """One of them."""
        return cls(
            sampler=study.samplers[name],
            num_samples=study.evaluation.num_samples,
            num_classes=study.dataset.num_classes,
            batch_size=study.evaluation.batch_size,
        )


class ScoreJob(Job):
    """`titok score reconstruction` and `titok score generation`: how images are measured."""

    kind: ClassVar[str] = "score"
    section: ClassVar[str] = "evaluation"

    study: str
    dataset: Dataset
    evaluation: Evaluation

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """The workflow reads the latter two, so that neither is scored again for what the other alone depends on."""
        return ALL, "reconstructions", "samples"

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """Everything, or what one of the two needs."""
        whole = study.evaluation
        parts = {ALL: whole, "reconstructions": whole.of_reconstructions(), "samples": whole.of_samples()}
        return cls(study=study.study, dataset=study.dataset.seen(), evaluation=parts[name])


class ProbeJob(Job):
    """`titok score probe`: a linear classifier on frozen latents."""

    kind: ClassVar[str] = "probe"
    section: ClassVar[str] = "probe"

    study: str
    dataset: Dataset
    batch_size: Annotated[PositiveInt, Operational()]
    probe: LinearProbe

    def identity(self) -> dict[str, Any]:
        """Where windows are drawn afresh, how many at once decides which: then the batch size counts."""
        found = super().identity()
        return found if self.probe.views else {**found, "batch_size": self.batch_size}

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """The one."""
        batch_size = study.evaluation.batch_size
        return cls(study=study.study, dataset=study.dataset.seen(), batch_size=batch_size, probe=study.probe)


class ThroughputJob(Job):
    """`titok score throughput`: how fast a sampler makes images."""

    kind: ClassVar[str] = "throughput"
    section: ClassVar[str] = "samplers"
    wildcard: ClassVar[str] = "sampler"

    study: str
    sampler: Sampler
    image_size: PositiveInt
    throughput: Throughput

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """Every sampler, where the study measures speed by itself."""
        return study.samplers if study.throughput else ()

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """One of them."""
        if study.throughput is None:
            raise KeyError("the study measures speed while it samples; its throughput is null")
        return cls(
            study=study.study,
            sampler=study.samplers[name],
            image_size=study.dataset.image_size,
            throughput=study.throughput,
        )
