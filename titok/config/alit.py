"""ALIT's settings: a tokenizer whose images may have different numbers of tokens (docs/adaptive_length.md).

Defaults are those of the official code. Letters: T iterations, n tokens that each adds, K = T * n tokens at most.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from titok.config.model import TransformerSize, VQGANModel
from titok.config.section import Fraction, NonNegativeFloat, NonNegativeInt, PositiveInt, Section
from titok.config.training import Perceptual

ALIT_SIZES: dict[str, TransformerSize] = {
    "tiny": TransformerSize(width=512, depth=8, num_heads=8),
    "small": TransformerSize(width=1024, depth=8, num_heads=8),
    "base": TransformerSize(width=768, depth=12, num_heads=12),
    "semilarge": TransformerSize(width=1024, depth=16, num_heads=16),
}
"""The official names; "small" is wider than "base". Encoder and decoder are of the same size."""


class AlitModel(Section):
    """One transformer, applied T times to its own output and n further latent tokens."""

    image_size: PositiveInt = 256
    transformer: TransformerSize = ALIT_SIZES["tiny"]
    """Of the encoder and of the decoder."""
    tokens_per_iteration: PositiveInt = 32
    """n: the shortest code, and by how much the next is longer."""
    iterations: Annotated[int, Field(ge=2)] = 8
    """T: how many lengths there are. One alone is a TiTok."""
    latents: Literal["quantized", "continuous", "unprojected"] = "quantized"
    """What the decoder reads: codes of a codebook, the `code_dim` numbers that would be quantized, or the encoder's
    normalised tokens in full width."""
    codebook_size: PositiveInt = 4096
    """V; unused where latents are not quantized."""
    code_dim: PositiveInt = 12
    use_l2_norm: bool = True
    commitment_weight: NonNegativeFloat = 0.25
    codebook_init: Literal["published", "data"] = "published"
    """`published`: uniform(-1/V, 1/V). `data`: codes are drawn from the first batch's latents, of all lengths."""
    halting_threshold: Fraction = 0.55
    """Positions whose base code has less than this probability are never halted."""
    vqgan: VQGANModel = VQGANModel()
    """The base: its features are the encoder's input, its codes the decoder's targets, its decoder makes pixels."""

    @property
    def grid_size(self) -> int:
        """Positions along one side of the base's grid, which are the patches, too."""
        return self.image_size // self.vqgan.downsampling

    @property
    def num_latent_tokens(self) -> int:
        """K: tokens of the longest code."""
        return self.iterations * self.tokens_per_iteration

    @property
    def lengths(self) -> tuple[int, ...]:
        """Numbers of tokens that an image can have: n, 2n, ..., K."""
        return tuple(self.tokens_per_iteration * count for count in range(1, self.iterations + 1))

    @property
    def latent_dim(self) -> int:
        """Channels of a latent token as the decoder reads it."""
        return self.transformer.width if self.latents == "unprojected" else self.code_dim

    @model_validator(mode="after")
    def _shapes_fit(self) -> Self:
        if self.image_size % self.vqgan.downsampling:
            raise ValueError(
                f"image_size is {self.image_size}, no multiple of the {self.vqgan.downsampling} pixels of a code of "
                f"the base; change vqgan.channel_multipliers or image_size"
            )
        if self.vqgan.code_dim >= self.transformer.width:
            raise ValueError(
                f"transformer.width is {self.transformer.width}, of which the base's features take "
                f"{self.vqgan.code_dim} (vqgan.code_dim) and the patches' embedding the rest: make it wider"
            )
        return self


class LengthProxyLosses(Section):
    """ALIT's stage 1: predict the base's codes from the codes of every length."""

    length_weights: tuple[NonNegativeFloat, ...] = (2.5, 2.0, 1.5, 1.25, 1.0, 1.0, 1.0, 1.0)
    """Of the cross entropy alone, by iteration, the shortest code first; iterations beyond the list have its last."""
    code_weight: NonNegativeFloat = 1.0
    """Mean squared error between the expected and the true base code's vectors."""
    quantizer_weight: NonNegativeFloat = 1.0
    label_smoothing: Fraction = 0.0
    """The official code names 0.1 and throws the smoothed part away, so 0 is what it does."""
    halting: bool = True
    """Blank what the code so far explains, at random, as the official training does."""
    decoded_iterations: PositiveInt | None = None
    """How many iterations of a step count, drawn at random; null: all."""

    def length_weight(self, iteration: int) -> float:
        """Of the cross entropy after that iteration."""
        return self.length_weights[min(iteration, len(self.length_weights) - 1)]

    @model_validator(mode="after")
    def _some_weights(self) -> Self:
        if not self.length_weights:
            raise ValueError("length_weights is empty; give one weight at least, for all lengths")
        return self


class BatchNormDiscriminator(Section):
    """The PatchGAN of ALIT's stage 2."""

    channels: PositiveInt = 64
    """Channels of the first convolution; each stage doubles them, up to 8 times."""
    num_stages: PositiveInt = 3
    """Stages after the first convolution; all but the last halve the image, as the first convolution does."""


class GanPhase(Section):
    """From when on the adversaries count how much."""

    start_step: NonNegativeInt
    weight: NonNegativeFloat


class LengthPixelLosses(Section):
    """ALIT's stage 2: L1 on pixels, LPIPS, and one adversary for every length. Defaults are the official quirks."""

    reconstruction_weight: NonNegativeFloat = 1.0
    """Mean absolute error."""
    perceptual: Perceptual = Perceptual(kind="lpips", weight=1.0)
    """Officially LPIPS with VGG16."""
    quantizer_weight: NonNegativeFloat = 1.0
    lpips_range: Literal["unit", "signed"] = "unit"
    """`unit`: LPIPS sees images in [0, 1], as officially; `signed`: in [-1, 1], as its weights expect."""
    lpips_dropout: bool = True
    """Whether the dropout of LPIPS's heads acts while training, as officially; scores never have it."""
    phases: tuple[GanPhase, ...] = (GanPhase(start_step=27_699, weight=0.2), GanPhase(start_step=133_219, weight=0.8))
    """Weights of the adversaries' verdict; 0 before the first. Officially from epochs 21 and 101 on, of 1,319 steps."""
    discriminator_steps: PositiveInt = 8
    """Steps of the adversary for each of the model, once the adversaries count; officially 8."""
    adversary_in_model_step: bool = False
    """Whether the adversary gets the gradient of the model's steps, too: the official optimiser has its parameters by
    an oversight, so that it moves towards being fooled. The loss can do it; our training keeps the two apart."""
    discriminator: BatchNormDiscriminator = BatchNormDiscriminator()

    @property
    def start_step(self) -> int | None:
        """When the adversaries begin to count; None: never."""
        return next((phase.start_step for phase in self.phases if phase.weight > 0), None)

    def gan_weight(self, step: int) -> float:
        """The weight at a step, 0 before the first phase."""
        return next((phase.weight for phase in reversed(self.phases) if step >= phase.start_step), 0.0)

    @model_validator(mode="after")
    def _phases_in_order(self) -> Self:
        starts = [phase.start_step for phase in self.phases]
        if any(later <= earlier for earlier, later in itertools.pairwise(starts)):
            raise ValueError(f"phases start at steps {starts}; list them in the order of their start, each once")
        return self
