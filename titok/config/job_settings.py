"""The documents that single jobs read: everything one verb needs to know, and nothing else.

``titok.config.jobs`` derives them from a study.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import model_validator

from titok.config.data import Dataset, Preparation
from titok.config.entries import Source
from titok.config.evaluation import Evaluation
from titok.config.model import ClassifierModel, GeneratorModel, TokenizerModel, VQGANModel
from titok.config.probe import LinearProbe
from titok.config.sampling import MaskSchedule, Sampler
from titok.config.section import Neutral, Operational, PositiveInt, Section
from titok.config.throughput import Throughput
from titok.config.training import (
    ImageTraining,
    MaskedTokenLosses,
    ProxyCodeLosses,
    ReconstructionLosses,
    Training,
)
from titok.config.views import StoredCodes, ViewSet
from titok.runtime.arithmetic import Arithmetic


class Job(Section):
    """What every job's document says beside its own settings."""

    arithmetic: Annotated[Arithmetic, Neutral("native")] = "native"


class DataJob(Job):
    """`titok prepare`: archives to shards."""

    dataset: Preparation


class ClassifierJob(Job):
    """`titok train classifier`."""

    dataset: Dataset
    model: ClassifierModel
    training: ImageTraining


class ReconstructingJob(Job):
    """What every training has whose model gives images back."""

    dataset: Dataset
    training: ImageTraining
    evaluation: Evaluation | None = None
    """How reconstructions are scored while training; null: not at all."""


class VQGANJob(ReconstructingJob):
    """`titok train vqgan`."""

    model: VQGANModel
    losses: ReconstructionLosses


class Stage1Job(ReconstructingJob):
    """`titok train stage1`."""

    model: TokenizerModel
    losses: ProxyCodeLosses
    proxy_codes: StoredCodes | None = None
    """What the stored codes must be of; null: codes of each batch are computed while training."""


class CodesJob(Job):
    """`titok codes extract`: the views of a dataset's images to proxy codes."""

    dataset: Dataset
    codes: StoredCodes = StoredCodes()

    @model_validator(mode="after")
    def _views_fit(self) -> Self:
        self.codes.check(self.dataset)
        return self


class PixelStageJob(ReconstructingJob):
    """`titok train stage2` and `titok train single_stage`."""

    model: TokenizerModel
    losses: ReconstructionLosses


class TokensJob(Job):
    """`titok tokens`: a dataset's images to token ids."""

    dataset: Dataset
    views: ViewSet


class ReleasedTokenizerJob(Job):
    """`titok adopt tokenizer`: released weights take the place of a training."""

    source: Source
    model: TokenizerModel
    """What the study says it is; released weights of another model are refused."""


class ReleasedGeneratorJob(Job):
    """`titok adopt generator`."""

    source: Source
    model: GeneratorModel


class ReleasedVQGANJob(Job):
    """`titok adopt vqgan`."""

    source: Source
    model: VQGANModel


class GeneratorJob(Job):
    """`titok train generator`."""

    model: GeneratorModel
    mask_schedule: MaskSchedule
    training: Training
    losses: MaskedTokenLosses


class SampleJob(Job):
    """`titok sample`."""

    sampler: Sampler
    num_samples: PositiveInt
    num_classes: PositiveInt
    batch_size: Annotated[PositiveInt, Operational()]


class ProbeJob(Job):
    """`titok score probe`: a linear classifier on frozen latents."""

    study: str
    dataset: Dataset
    batch_size: Annotated[PositiveInt, Operational()]
    probe: LinearProbe

    def identity(self) -> dict[str, Any]:
        """Where windows are drawn afresh, how many at once decides which: then the batch size counts."""
        found = super().identity()
        return found if self.probe.views else {**found, "batch_size": self.batch_size}


class ThroughputJob(Job):
    """`titok score throughput`: how fast a sampler makes images."""

    study: str
    sampler: Sampler
    image_size: PositiveInt
    throughput: Throughput


class ScoreJob(Job):
    """`titok score reconstruction` and `titok score generation`: how images are measured."""

    study: str
    dataset: Dataset
    evaluation: Evaluation


TRAINING_JOBS: dict[str, type[ClassifierJob | ReconstructingJob | GeneratorJob]] = {
    "classifier": ClassifierJob,
    "vqgan": VQGANJob,
    "stage1": Stage1Job,
    "stage2": PixelStageJob,
    "single_stage": PixelStageJob,
    "generator": GeneratorJob,
}
"""Task of `titok train` -> its settings."""
