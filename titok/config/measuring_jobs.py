"""Jobs that sample and score what was trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Self

from pydantic import model_validator

from titok.config.adaptive_length import AdaptiveLength
from titok.config.data import Dataset
from titok.config.evaluation import Evaluation
from titok.config.external import External
from titok.config.floors import Floor, PatchCodebook
from titok.config.job import ALL, Job
from titok.config.probe import LinearProbe
from titok.config.quantization import Quantization
from titok.config.sampling import Sampler
from titok.config.section import Name, Neutral, Operational, PositiveInt
from titok.config.study import Study
from titok.config.throughput import Throughput

LENGTHS = "lengths"
"""Name of the probe's job for tokenizers of several lengths."""


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
        both = (ALL,) if study.evaluation.resize_rule is None else ()
        return *both, "reconstructions", "samples"

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """Everything, or what one of the two needs."""
        whole = study.evaluation
        if name not in cls.names(study):
            raise KeyError(
                f"no score is called {name!r}, for evaluation.resize_rule is {whole.resize_rule!r}, of reconstructions "
                f"alone; allowed: {', '.join(cls.names(study))}"
            )
        parts = {ALL: whole, "reconstructions": whole.of_reconstructions(), "samples": whole.of_samples()}
        dataset = cls.reconstructed(study) if name == "reconstructions" else study.dataset.seen()
        return cls(study=study.study, dataset=dataset, evaluation=parts[name])

    @staticmethod
    def reconstructed(study: Study) -> Dataset:
        """Test images as they are reconstructed."""
        seen, rule = study.dataset.seen(), study.evaluation.resize_rule
        return seen if rule is None else seen.model_copy(update={"resize_rule": rule})

    @classmethod
    def of_reconstructions(cls, study: Study, **told: object) -> Self:
        """One that measures reconstructions as the study's own are measured, and is ``told`` this beside."""
        common = {"study": study.study, "dataset": cls.reconstructed(study)}
        return cls.model_validate({**common, "evaluation": study.evaluation.of_reconstructions(), **told})


class ExternalJob(ScoreJob):
    """`titok score external`: how reconstructions that another program made are measured, and what is said of it."""

    kind: ClassVar[str] = "external"
    section: ClassVar[str] = "external"
    wildcard: ClassVar[str] = "external"

    name: Name
    external: External

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """Every program's."""
        return study.external

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """Measured as the study's own are."""
        return cls.of_reconstructions(study, name=name, external=study.external[name])


class FloorJob(ScoreJob):
    """`titok score floor`: mean patches or regions, measured as the study's tokenizers are."""

    kind: ClassVar[str] = "floor"
    section: ClassVar[str] = "floors"
    wildcard: ClassVar[str] = "floor"

    floor: Floor

    @model_validator(mode="after")
    def _patches_fill_the_image(self) -> Self:
        side = self.dataset.image_size
        if isinstance(self.floor, PatchCodebook) and side % self.floor.patch_size:
            raise ValueError(
                f"patch_size is {self.floor.patch_size}, which does not divide dataset.image_size {side}; allowed: "
                f"{', '.join(str(size) for size in range(1, side + 1) if side % size == 0)}"
            )
        return self

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """Every floor."""
        return study.floors

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """One of them; each of its seeds is told by the command line."""
        entry = study.floors[name]
        told = entry.model_copy(update={"seeds": None}) if isinstance(entry, PatchCodebook) else entry
        return cls.of_reconstructions(study, floor=told)


class QuantizedJob(ScoreJob):
    """`titok score quantized`: soft tokens in few bits; how few, the command line says."""

    kind: ClassVar[str] = "quantized"
    section: ClassVar[str] = "quantization"

    quantization: Quantization

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """The one, where a figure shows soft tokens."""
        shown = study.reporting.figures.hard_and_soft
        return (ALL,) if shown and shown.soft else ()

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """The one."""
        return cls.of_reconstructions(study, quantization=study.quantization)


class LengthsJob(ScoreJob):
    """`titok score lengths`: what every length gives, and which length images need."""

    kind: ClassVar[str] = "lengths"
    section: ClassVar[str] = "adaptive_length"

    lengths: AdaptiveLength

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """The one, where a study gives images lengths of their own."""
        return (ALL,) if study.adaptive_length else ()

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """The one; which tokenizers stand beside each other are files that the job is given."""
        if study.adaptive_length is None:
            raise KeyError("the study gives all images the longest code; its adaptive_length is null")
        evaluation = study.evaluation
        kept = {"lpips": evaluation.lpips, "uncertainty": evaluation.of_reconstructions().uncertainty}
        return cls.of_reconstructions(
            study,
            evaluation=evaluation.of_milestones().model_copy(update=kept),
            lengths=study.adaptive_length.model_copy(update={"beside": {}, "tokens": None}),
        )


class ProbeJob(Job):
    """`titok score probe`: a linear classifier on frozen latents."""

    kind: ClassVar[str] = "probe"
    section: ClassVar[str] = "probe"

    study: str
    dataset: Dataset
    batch_size: Annotated[PositiveInt, Operational()]
    probe: LinearProbe
    lengths: Annotated[tuple[PositiveInt, ...] | None, Neutral(None)] = None
    """At which the first reading is probed, of a tokenizer with tail drop; empty: all, as always where a short code is
    no beginning of a long one. Null: the longest code alone, of any tokenizer."""

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """Of tokenizers of one length and, where a table shows them, of tokenizers of several."""
        return (ALL, LENGTHS) if study.reporting.tables.probes_lengths else (ALL,)

    def identity(self) -> dict[str, Any]:
        """Where windows are drawn afresh, how many at once decides which: then the batch size counts."""
        found = super().identity()
        return found if self.probe.views else {**found, "batch_size": self.batch_size}

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """One of them."""
        if name not in cls.names(study):
            raise KeyError(f"the study has no probe {name!r}; no table of adaptive length has linear_probe: true")
        chosen = study.adaptive_length.lengths if study.adaptive_length else ()
        return cls(
            study=study.study,
            dataset=study.dataset.seen(),
            batch_size=study.evaluation.batch_size,
            probe=study.probe,
            lengths=chosen if name == LENGTHS else None,
        )


class CostsJob(Job):
    """`titok score costs`: how fast a tokenizer works, and what it takes."""

    kind: ClassVar[str] = "costs"
    section: ClassVar[str] = "throughput"

    study: str
    image_size: PositiveInt
    throughput: Throughput

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """The one, where a table shows costs."""
        shown = study.reporting.tables.token_kinds
        return (ALL,) if shown and shown.costs else ()

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """The one; where the study does not measure sampling apart, by the same settings' defaults."""
        settings = study.throughput or Throughput()
        return cls(study=study.study, image_size=study.dataset.image_size, throughput=settings)


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
