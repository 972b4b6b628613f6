"""The recipe `alit`: a recurrent tokenizer of adaptive length, trained in two stages (docs/adaptive_length.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from titok.config.alit import AlitModel, LengthPixelLosses, LengthProxyLosses
from titok.config.recipe import Around, Entry, OwnRecipe
from titok.config.section import Fraction, Section
from titok.config.training import ImageTraining, Perceptual


class AlitStage1(Section):
    """Predict the codes of the study's VQGAN from the codes of every length."""

    training: ImageTraining
    losses: LengthProxyLosses = LengthProxyLosses()


class AlitStage2(Section):
    """Everything learns pixels, one length at a time, each with an adversary of its own."""

    training: ImageTraining
    losses: LengthPixelLosses = LengthPixelLosses()


class AlitRecipe(OwnRecipe):
    """What a tokenizer of recipe `alit` has beside the sizes that all have (docs/adaptive_length.md)."""

    needs_vqgan: ClassVar[bool] = True
    trains_encoder_twice: ClassVar[bool] = True

    iterations: Annotated[int, Field(ge=2)] = 8
    """How many lengths there are; the shortest has `num_latent_tokens` over this many tokens."""
    latents: Literal["quantized", "continuous", "unprojected"] = "quantized"
    halting_threshold: Fraction = 0.55
    stage1: AlitStage1
    stage2: AlitStage2 | None = None
    """Null stops after stage 1."""

    @property
    def stages(self) -> tuple[str, ...]:
        """Both, or the first."""
        return ("alit_stage1", "alit_stage2") if self.stage2 else ("alit_stage1",)

    @property
    def is_discrete(self) -> bool:
        """Unless latents are left as they are."""
        return self.latents == "quantized"

    def lengths(self, most: int) -> tuple[int, ...]:
        """Every iteration adds equally many."""
        step = most // self.iterations
        return tuple(range(step, most + 1, step))

    def model(self, entry: Entry, around: Around) -> AlitModel:
        """Both transformers have the encoder's size, the base is the study's VQGAN."""
        same = {"codebook_size", "code_dim", "use_l2_norm", "commitment_weight", "codebook_init"}
        return AlitModel(
            **entry.settings.model_dump(include=same),
            **self.model_dump(include={"iterations", "latents", "halting_threshold"}),
            tokens_per_iteration=entry.num_latent_tokens // self.iterations,
            image_size=around.image_size,
            transformer=around.sizes[entry.encoder],
            vqgan=around.vqgan,
        )

    def perceptuals(self) -> Iterator[tuple[str, Perceptual]]:
        """Stage 2's."""
        if self.stage2:
            yield "stage2.losses.perceptual", self.stage2.losses.perceptual

    def check(self, entry: Entry) -> None:
        """One size, equally many tokens at each iteration, and none of what only TiToks have."""
        if entry.encoder != entry.decoder:
            raise ValueError(
                f"encoder is {entry.encoder!r} and decoder {entry.decoder!r}; recipe 'alit' has one size for both"
            )
        if entry.num_latent_tokens % self.iterations:
            raise ValueError(
                f"num_latent_tokens is {entry.num_latent_tokens}, no multiple of the {self.iterations} iterations "
                f"(alit.iterations) that add equally many"
            )
        if entry.settings.kind == "vae":
            raise ValueError("kind 'vae' is a TiTok's; latents without a codebook are alit.latents: continuous")
        if entry.settings.fsq_levels:
            raise ValueError("fsq_levels is a TiTok's, and recipe 'alit' learns a codebook; remove it")
