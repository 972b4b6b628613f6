"""The named things of a study: classifiers, the proxy VQGAN, tokenizers and generators, as a person writes them.

Each is trained by the study or, with `source`, a released model that the study only measures.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from titok.config.alit_recipe import AlitRecipe
from titok.config.encoder_init import EncoderInit
from titok.config.external import Text
from titok.config.generator_model import GeneratorShape
from titok.config.model import ClassifierModel, TokenizerSettings, VQGANModel
from titok.config.recipe import OwnRecipe
from titok.config.sampling import MaskSchedule
from titok.config.section import Name, Neutral, NonNegativeInt, PositiveInt, Section
from titok.config.training import (
    ImageTraining,
    MaskedTokenLosses,
    ProxyCodeLosses,
    ReconstructionLosses,
    Training,
)


def _each_once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds is {list(seeds)}; a repeated seed repeats the very same run: list each once")
    return seeds


StageName = Literal["stage1", "stage2", "alit_stage1", "alit_stage2", "soft_decoder", "single_stage", "released"]
Source = Annotated[str, Field(min_length=1)]
"""Where released weights are: a name in `config/sources.yaml`, a folder, or a repository of the Hugging Face Hub."""
Seeds = Annotated[tuple[NonNegativeInt, ...], Field(min_length=1), AfterValidator(_each_once)]


def _check_origin(training: Training | None, source: str | None) -> None:
    if (training is None) == (source is None):
        given = "neither is" if training is None else "both are"
        raise ValueError(f"training and source: {given} given; say either how it is trained or where it is released")


class Classifier(Section):
    """A classifier trained in the study: the held-out judge of the scores, or the perceptual network of a loss."""

    model: ClassifierModel = ClassifierModel()
    training: ImageTraining

    @model_validator(mode="after")
    def _has_no_reconstructions(self) -> Self:
        if self.training.milestone_images is not None:
            raise ValueError(
                f"training.milestone_images is {self.training.milestone_images}, but a classifier reconstructs no "
                f"images; set it to null"
            )
        return self


class ProxyTokenizer(Section):
    """The 2D VQGAN that supplies proxy codes: trained in the study, or a released one."""

    family: Literal["vqgan"] = "vqgan"
    """Said where it stands among a study's `tokenizers`, under the name `vqgan`."""
    model: VQGANModel = VQGANModel()
    training: ImageTraining | None = None
    losses: ReconstructionLosses = ReconstructionLosses(quantizer_weight=1.0)
    """Not read for a released one."""
    source: Source | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        _check_origin(self.training, self.source)
        return self


class Baseline(Section):
    """Another 2D VQGAN that the study trains, measured for comparison; TiTok learns nothing from its codes."""

    family: Literal["vqgan"] = "vqgan"
    """Said where it stands among a study's `tokenizers`."""
    model: VQGANModel = VQGANModel()
    training: ImageTraining
    losses: ReconstructionLosses = ReconstructionLosses(quantizer_weight=1.0)
    seeds: Seeds | None = None
    """Null: the study's."""


class EncoderTraining(Section):
    """A stage that trains a TiTok's encoder."""

    training: ImageTraining
    encoder_init: Annotated[EncoderInit | None, Neutral(None)] = None
    """A network that understands images, as which the encoder begins; null: at random, or as `training.start_from`."""

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        if self.encoder_init is not None and self.training.start_from is not None:
            raise ValueError("encoder_init and training.start_from are both given; the encoder begins once: remove one")
        return self


class Stage1(EncoderTraining):
    """Predict the proxy codes (paper section 3.2, warm-up)."""

    first_in_documents: ClassVar[tuple[str, ...]] = ("proxy", "training")

    proxy: Literal["vqgan"] = "vqgan"
    """Whose codes: the 2D VQGAN of this name."""
    losses: ProxyCodeLosses = ProxyCodeLosses()


class Stage2(Section):
    """Fine-tune the decoder to pixels, encoder and codebook frozen."""

    training: ImageTraining
    losses: ReconstructionLosses = ReconstructionLosses()


class SingleStage(EncoderTraining):
    """Everything at once from pixels, without proxy codes."""

    losses: ReconstructionLosses = ReconstructionLosses(quantizer_weight=1.0)


class Tokenizer(TokenizerSettings):
    """One tokenizer, a TiTok or of another recipe: its sizes, its K, and how it is trained."""

    family: Literal["titok"] = "titok"
    """`vqgan` makes the entry a 2D VQGAN, with the settings of `baselines` or, called `vqgan`, of `vqgan`."""
    recipe: Literal["two_stage", "single_stage", "released", "alit"] = "two_stage"
    """`released` trains nothing: the weights come from `source`, and the stage is called `released`, too. `alit`: the
    recurrent tokenizer of adaptive length, whose longest code has `num_latent_tokens`."""
    source: Source | None = None
    head: Literal["proxy_codes", "pixels"] | None = None
    """What a released tokenizer's decoder predicts; the recipe says it for all others."""
    encoder: Name
    """A name of the study's `sizes`."""
    decoder: Name
    num_latent_tokens: PositiveInt
    """K."""
    seeds: Seeds | None = None
    """Null: the study's."""
    stage1: Stage1 | None = None
    stage2: Stage2 | None = None
    """Null stops after stage 1."""
    single_stage: SingleStage | None = None
    alit: Annotated[AlitRecipe | None, Neutral(None)] = None

    @property
    def own(self) -> OwnRecipe | None:
        """The section of its recipe, where that is none of TiTok's."""
        section = getattr(self, self.recipe, None)
        return section if isinstance(section, OwnRecipe) else None

    @property
    def settings(self) -> TokenizerSettings:
        """Itself, seen as what all kinds of models have."""
        return self

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages this tokenizer is trained in, in order."""
        if self.own is not None:
            return self.own.stages
        if self.recipe == "two_stage":
            return ("stage1", "stage2") if self.stage2 else ("stage1",)
        return ("released",) if self.recipe == "released" else ("single_stage",)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Numbers of tokens that a choice of length can give an image, from few to K; empty: all have K."""
        if self.own is not None:
            return self.own.lengths(self.num_latent_tokens)
        return () if self.tail_drop == "off" else tuple(range(1, self.num_latent_tokens + 1))

    @property
    def is_nested(self) -> bool:
        """Whether short codes are beginnings of long ones, so that `adaptive_length.lengths` may name some of them."""
        return self.tail_drop != "off" if self.own is None else self.own.is_nested

    @property
    def needs_vqgan(self) -> bool:
        """Whether it learns from the study's 2D VQGAN."""
        return self.own.needs_vqgan if self.own is not None else self.recipe == "two_stage"

    @property
    def is_discrete(self) -> bool:
        """Whether images become ids."""
        return self.kind == "vq" and (self.own is None or self.own.is_discrete)

    @model_validator(mode="after")
    def _recipe_complete(self) -> Self:
        is_released = self.recipe == "released"
        if is_released != (self.source is not None) or is_released != (self.head is not None):
            raise ValueError(
                f"recipe is {self.recipe!r}, source {self.source!r} and head {self.head!r}; "
                f"give source and head exactly when recipe is 'released'"
            )
        needed = {"two_stage": "stage1", "released": "source"}.get(self.recipe, self.recipe)
        if getattr(self, needed) is None:
            raise ValueError(f"recipe is {self.recipe!r} but {needed} is missing; add its training settings")
        if self.recipe == "two_stage" and self.kind == "vae":
            raise ValueError("kind 'vae' has no two-stage form; set recipe: single_stage")
        self._check_own()
        return self

    def _check_own(self) -> None:
        """The section of a recipe of its own stands there with the recipe alone, and knows what goes with it."""
        given = [name for name in type(self).model_fields if isinstance(getattr(self, name), OwnRecipe)]
        for name in given:
            if name != self.recipe:
                raise ValueError(f"recipe is {self.recipe!r} and {name} given; give both or neither")
        if self.own is not None:
            self.own.check(self)


class Generator(Section):
    """One MaskGIT transformer on the tokens of one tokenizer."""

    tokenizer: Name
    """One of the study's `tokenizers` or `baselines`, or `vqgan`: the codes of the study's 2D VQGAN, row after row, as
    MaskGIT has them."""
    stage: StageName | None = None
    """Which stage's tokenizer turns its tokens into images; null: the last one."""
    model: GeneratorShape = GeneratorShape()
    mask_schedule: MaskSchedule = "arccos"
    """How many tokens training masks (paper Table 3b); samplers name their own."""
    training: Training | None = None
    source: Source | None = None
    losses: MaskedTokenLosses = MaskedTokenLosses()
    samplers: Annotated[tuple[Name, ...], Field(min_length=1)]
    """The sampling settings to try on it."""
    decoded: dict[Name, Text] = Field(default_factory=dict)
    """Sampler -> a `.npz` of the images that another program's decoder made of this generator's ids, for generators of
    an `external` row's ids: `arr_0` uint8 (N, H, W, 3), and the `ids` (N, K) and `labels` (N,) that they are of."""
    seeds: Seeds | None = None
    """Null: the first of the study's. A generator of seed n reads the tokens of its tokenizer's seed n."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        _check_origin(self.training, self.source)
        return self
