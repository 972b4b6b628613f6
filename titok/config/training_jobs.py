"""Jobs that train a model of the study: `titok train KIND`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from titok.config.data import Dataset
from titok.config.encoder_init import EncoderInit
from titok.config.entries import EncoderTraining, Tokenizer
from titok.config.evaluation import Evaluation
from titok.config.generator_model import GeneratorModel
from titok.config.job import ALL, Job
from titok.config.model import ClassifierModel, TokenizerModel, VQGANModel
from titok.config.sampling import MaskSchedule
from titok.config.section import Neutral
from titok.config.study import Study
from titok.config.study_models import generator_model, model_settings, tokenizer_model
from titok.config.training import (
    ImageTraining,
    MaskedTokenLosses,
    ProxyCodeLosses,
    ReconstructionLosses,
    Training,
)
from titok.config.views import StoredCodes


class TrainingJob(Job):
    """A training of some kind."""

    is_training: ClassVar[bool] = True
    folder: ClassVar[str]
    """Where the workflow puts its model, below `results/{study}`, with wildcards and, perhaps, its kind."""
    reads: ClassVar[tuple[str, ...]]
    """What it learns from, by the names in `workflow/rules/training_functions.smk`."""

    if TYPE_CHECKING:  # each kind has the field, at a place of its own in the document
        training: Training


class ClassifierJob(TrainingJob):
    """The judge of the scores, or the perceptual network of a loss."""

    kind: ClassVar[str] = "classifier"
    section: ClassVar[str] = "classifiers"
    wildcard: ClassVar[str] = "classifier"
    folder: ClassVar[str] = "classifiers/{classifier}"
    reads: ClassVar[tuple[str, ...]] = ("data",)

    dataset: Dataset
    model: ClassifierModel
    training: ImageTraining

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """Every classifier."""
        return study.classifiers

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """One of them."""
        entry = study.classifiers[name]
        return cls(dataset=study.dataset.seen(), model=entry.model, training=entry.training)


class ReconstructingJob(TrainingJob):
    """What every training has whose model gives images back."""

    wildcard: ClassVar[str] = "tokenizer"
    folder: ClassVar[str] = "tokenizers/{tokenizer}/seed{seed}/{kind}"
    reads: ClassVar[tuple[str, ...]] = ("data",)

    dataset: Dataset
    training: ImageTraining
    evaluation: Evaluation | None = None
    """How reconstructions are scored while training; null: not at all."""

    @staticmethod
    def shared(study: Study, training: ImageTraining) -> dict[str, Any]:
        """These fields; how reconstructions are scored is told only where they are."""
        evaluation = None if training.milestone_images is None else study.evaluation.of_milestones()
        return {"dataset": study.dataset.seen(), "training": training, "evaluation": evaluation}


class VQGANJob(ReconstructingJob):
    """The 2D tokenizer that supplies proxy codes, or one that is only measured."""

    kind: ClassVar[str] = "vqgan"
    section: ClassVar[str] = "baselines"
    folder: ClassVar[str] = "tokenizers/{tokenizer}/seed{seed}/vqgan_2d"
    reads: ClassVar[tuple[str, ...]] = ("data", "critic")

    model: VQGANModel
    losses: ReconstructionLosses

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """`all` is the study's VQGAN, others are baselines."""
        return [*([ALL] if study.vqgan and study.vqgan.training else []), *study.baselines]

    @classmethod
    def place(cls, name: str) -> str:
        """The section of the study's VQGAN has no names."""
        return "vqgan" if name == ALL else super().place(name)

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """One of them."""
        entry = study.vqgan if name == ALL else study.baselines[name]
        if entry is None or entry.training is None:
            raise KeyError("the study trains no vqgan")
        return cls(model=entry.model, losses=entry.losses, **cls.shared(study, entry.training))


class TokenizerJob(ReconstructingJob):
    """A stage of a tokenizer; its kind is the stage's name."""

    section: ClassVar[str] = "tokenizers"

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """Every tokenizer that is trained in this stage."""
        return [name for name, tokenizer in study.tokenizers.items() if cls.kind in tokenizer.stages]

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """One of them."""
        stage = cls.stage(study.tokenizers[name])
        if stage is None:
            raise KeyError(f"tokenizer {name!r} has no {cls.kind}")
        return cls(**cls.own(study, name, stage), **cls.shared(study, stage.training))

    @classmethod
    def stage(cls, tokenizer: Tokenizer) -> Any:
        """The stage's section of a tokenizer's entry, under the kind's name; None where it has none."""
        return getattr(tokenizer, cls.kind)

    @classmethod
    @abstractmethod
    def own(cls, study: Study, name: str, stage: Any) -> dict[str, Any]:
        """The fields that this kind alone has."""


class OwnRecipeJob(TokenizerJob):
    """A stage of a tokenizer whose recipe is none of a TiTok's; a subclass says of what class the model is."""

    @classmethod
    def own(cls, study: Study, name: str, stage: Any) -> dict[str, Any]:
        """The model, as the recipe's section makes it."""
        return {"model": model_settings(study, name, cls.kind)}


class TiTokJob(TokenizerJob):
    """A stage of a TiTok."""

    model: TokenizerModel

    @classmethod
    def own(cls, study: Study, name: str, stage: Any) -> dict[str, Any]:
        """Model and losses."""
        return {"model": tokenizer_model(study, name, cls.kind), "losses": stage.losses}


class Stage1Job(TiTokJob):
    """TiTok learns to predict the proxy codes."""

    kind: ClassVar[str] = "stage1"
    reads: ClassVar[tuple[str, ...]] = ("data", "vqgan", "codes")

    losses: ProxyCodeLosses
    proxy_codes: StoredCodes | None = None
    """What the stored codes must be of; null: codes of each batch are computed while training."""
    encoder_init: Annotated[EncoderInit | None, Neutral(None)] = None

    @classmethod
    def own(cls, study: Study, name: str, stage: Any) -> dict[str, Any]:
        """The stored codes, and what the encoder begins as, too."""
        stored = study.proxy_codes.stored() if study.proxy_codes else None
        return {**super().own(study, name, stage), "proxy_codes": stored, **_encoder_init(stage)}


class PixelStageJob(TiTokJob):
    """What the stages have in common that are trained on pixels."""

    losses: ReconstructionLosses


class Stage2Job(PixelStageJob):
    """The decoder is fine-tuned to pixels."""

    kind: ClassVar[str] = "stage2"
    reads: ClassVar[tuple[str, ...]] = ("data", "stage1", "critic")


class SingleStageJob(PixelStageJob):
    """Everything at once, from pixels to pixels."""

    kind: ClassVar[str] = "single_stage"
    reads: ClassVar[tuple[str, ...]] = ("data", "critic")

    encoder_init: Annotated[EncoderInit | None, Neutral(None)] = None

    @classmethod
    def own(cls, study: Study, name: str, stage: Any) -> dict[str, Any]:
        """What the encoder begins as, too."""
        return {**super().own(study, name, stage), **_encoder_init(stage)}


def _encoder_init(stage: EncoderTraining) -> dict[str, EncoderInit]:
    """What the encoder begins as, where the stage says it."""
    return {} if stage.encoder_init is None else {"encoder_init": stage.encoder_init.stated}


class GeneratorJob(TrainingJob):
    """A MaskGIT transformer on tokens."""

    kind: ClassVar[str] = "generator"
    section: ClassVar[str] = "generators"
    wildcard: ClassVar[str] = "generator"
    folder: ClassVar[str] = "generators/{generator}/seed{seed}"
    reads: ClassVar[tuple[str, ...]] = ("tokens",)

    model: GeneratorModel
    mask_schedule: MaskSchedule
    training: Training
    losses: MaskedTokenLosses

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """Every generator that is no released one."""
        return [name for name, generator in study.generators.items() if generator.training]

    @classmethod
    def of(cls, study: Study, name: str) -> Self:
        """One of them."""
        entry = study.generators[name]
        if entry.training is None:
            raise KeyError(f"generator {name!r} is not trained")
        model = generator_model(study, name)
        return cls(model=model, mask_schedule=entry.mask_schedule, training=entry.training, losses=entry.losses)
