"""How things are trained: the optimiser, the schedule, and the losses of each task (paper section 4.1, appendix A)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from titok.config.model import DiscriminatorModel
from titok.config.section import (
    Fraction,
    KnownBy,
    Name,
    Neutral,
    NonNegativeFloat,
    NonNegativeInt,
    Operational,
    PositiveFloat,
    PositiveInt,
    Section,
)
from titok.config.weight_files import PerceptualWeights

Decoder = Literal["pillow", "torchvision"]


class Optimizer(Section):
    """AdamW; weight decay spares biases, norms, embeddings and token tables (specification 8.3)."""

    learning_rate: PositiveFloat = 1e-4
    betas: tuple[Fraction, Fraction] = (0.9, 0.99)
    weight_decay: NonNegativeFloat = 1e-4
    decayed: Annotated[Literal["by_name", "matrices"], Neutral("by_name")] = "by_name"
    """What weight decay pulls on. `by_name`: as released, which spares embeddings and tables of tokens. `matrices`:
    everything of two or more dimensions, as ALIT's official code."""
    eps: PositiveFloat = 1e-8


class Schedule(Section):
    """Learning rate over steps: linear warm-up from 0, then cosine to `end_learning_rate` (or constant)."""

    kind: Literal["cosine", "constant"] = "cosine"
    warmup_steps: NonNegativeInt = 10_000
    end_learning_rate: NonNegativeFloat = 1e-5


class Compute(Section):
    """How the arithmetic is done (measured effects: `docs/training.md`); numbers may change in their last digits."""

    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Autocast of the networks; quantizers, losses and weights stay float32. fp16 scales its losses."""
    tf32: bool = False
    """Rounds the factors of float32 matrix products to 10 bits on GPUs that can."""
    compile: bool = False
    """Compiles transformers and convolutional stacks by `torch.compile`: minutes at first, faster steps after."""
    activation_checkpointing: bool = False
    """Recomputes each transformer block in the backward pass: less memory, about a third more work."""
    channels_last: bool = False
    """Keeps convolutions' weights and images with channels innermost."""
    micro_batch_size: PositiveInt | None = None
    """Most images that one process takes through the networks at a time; gradients are summed over these passes. Null:
    all at once."""


class StartFrom(Section):
    """Weights that a training begins at, in place of random ones."""

    weights: Annotated[str, Field(min_length=1), KnownBy("sha256")]
    """A folder of a model or its file, in our layout or the released one, of the same kind of model."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of the file; null: made when the workflow is planned, so that other weights train anew."""
    leave_out: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Parts that begin anew, by the beginnings of their tensors' names: `pixel_decoder`, `encoder.patch_embed`."""


class Training(Section):
    """One training run, whatever the task."""

    steps: PositiveInt = 1_000_000
    """Optimiser updates."""
    batch_size: PositiveInt = 256
    """Images per update over all processes."""
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    max_grad_norm: PositiveFloat = 1.0
    ema_decay: Fraction | None = 0.999
    """Averaged weights are what is exported; null exports the raw ones."""
    ema_ramp: Annotated[bool, Neutral(True)] = True
    """Begin with a low decay, which forgets the random start; false: a plain average from the first weights on."""
    ema_restart_steps: Annotated[PositiveInt | None, Neutral(None)] = None
    """Every so many steps the average begins again at the weights, as in ALIT's official code at every epoch; null:
    never."""
    log_every: PositiveInt = 50
    """Steps between lines of the metrics log."""
    checkpoint_seconds: Annotated[NonNegativeFloat, Operational()] = 300
    """Wall time between checkpoints; 0 saves after every step."""
    keep_checkpoints: Annotated[PositiveInt, Operational()] = 2
    """How many of the newest checkpoints stay on disk."""
    milestone_steps: PositiveInt | None = None
    """Every so many steps a checkpoint is made that stays; null: none."""
    compute: Compute = Compute()
    start_from: Annotated[StartFrom | None, Neutral(None)] = None
    """Weights to begin at: fine-tuning on other images; null: as the stage begins. A stage that goes on from another
    one (`stage2`) begins at these instead."""

    @model_validator(mode="after")
    def _warmup_fits(self) -> Self:
        if self.schedule.warmup_steps > self.steps:
            raise ValueError(
                f"schedule.warmup_steps is {self.schedule.warmup_steps}, more than the {self.steps} steps of the run; "
                f"allowed: 0 to {self.steps}"
            )
        return self


PERCEPTUAL_NETWORKS: dict[str, tuple[str, ...]] = {
    "none": (),
    "convnext_s": ("convnext_s",),
    "lpips": ("vgg16", "lpips_heads"),
    "lpips+convnext_s": ("vgg16", "lpips_heads", "convnext_s"),
    "classifier": (),
}
"""Which weight files each kind of perceptual loss needs."""


class Perceptual(Section):
    """A frozen network that says how different two images look (specification 7.3)."""

    kind: Literal["none", "convnext_s", "lpips", "lpips+convnext_s", "classifier"] = "convnext_s"
    weight: NonNegativeFloat = 0.1
    classifier: Name | None = None
    """For kind `classifier`: which of the study's classifiers."""
    weights: PerceptualWeights = PerceptualWeights()
    """Files of the networks that the other kinds look through."""

    @property
    def missing_weights(self) -> tuple[str, ...]:
        """Keys of `weights` that this kind needs and that are null."""
        return tuple(key for key in PERCEPTUAL_NETWORKS[self.kind] if getattr(self.weights, key) is None)

    @model_validator(mode="after")
    def _classifier_named(self) -> Self:
        if (self.kind == "classifier") != (self.classifier is not None):
            raise ValueError(
                f"perceptual kind is {self.kind!r} and classifier is {self.classifier!r}; "
                f"name a classifier exactly when kind is 'classifier'"
            )
        return self


class Adversarial(Section):
    """Hinge GAN with LeCam regularisation (specification 7.2)."""

    weight: NonNegativeFloat = 0.01
    """Weight of the generator's term; 0 trains without a discriminator."""
    start_step: NonNegativeInt = 20_000
    """From this step on (counting from 0) the discriminator learns and its verdict counts."""
    lecam_weight: NonNegativeFloat = 0.001
    learning_rate: PositiveFloat = 1e-4
    discriminator: DiscriminatorModel = DiscriminatorModel()


class ReconstructionLosses(Section):
    """Pixels, perception, adversary: stage 2, single-stage training and the proxy VQGAN."""

    reconstruction_weight: NonNegativeFloat = 1.0
    """Mean squared error."""
    quantizer_weight: NonNegativeFloat = 0.0
    """0 in stage 2 (the codebook is frozen there), 1 in single-stage training."""
    kl_weight: NonNegativeFloat = 1e-6
    """Only for vae tokenizers."""
    perceptual: Perceptual = Perceptual()
    adversarial: Adversarial = Adversarial()


class ProxyCodeLosses(Section):
    """Stage 1: cross entropy on proxy codes plus the quantizer's own loss."""

    quantizer_weight: NonNegativeFloat = 1.0


class MaskedTokenLosses(Section):
    """The generator's loss: label-smoothed cross entropy, unmasked tokens counted lightly (specification 6)."""

    label_smoothing: Fraction = 0.1
    unmasked_weight: NonNegativeFloat = 0.1


class ImageTraining(Training):
    """A training run that sees images."""

    random_crop: bool = True
    window_area: Annotated[tuple[PositiveFloat, PositiveFloat] | None, Neutral(None)] = None
    """Smallest and largest share of an image's area that random windows have, of shapes of 3:4 to 4:3, resized; ALIT's
    are [0.8, 1]. Of the original images where they are streamed, of the resized ones where they are kept in memory.
    Null: windows of `image_size` pixels of the resized image."""
    random_flip: bool = True
    decoder: Decoder = "pillow"
    """How images are decoded and resized that are not kept in memory. `pillow`: exactly as the official code.
    `torchvision`: faster, with slightly other pixels; `titok parity` reports how they differ, and training starts only
    if they differ little. Scores always use Pillow."""
    milestone_images: PositiveInt | None = None
    """Test images, evenly spaced, whose reconstructions are scored every `milestone_steps` steps and at the end (5000:
    rFID-5k); null: none. For what reconstructs images."""

    @model_validator(mode="after")
    def _windows_are_drawn(self) -> Self:
        if self.window_area is None:
            return self
        low, high = self.window_area
        if not low <= high <= 1:
            raise ValueError(f"window_area is {[low, high]}; give two shares of an image, the smaller first")
        if not self.random_crop or self.decoder != "pillow":
            raise ValueError(
                f"window_area is {[low, high]}, with random_crop {self.random_crop} and decoder {self.decoder!r}; such "
                f"windows are random and read by pillow"
            )
        return self

    @model_validator(mode="after")
    def _milestones_fall(self) -> Self:
        if self.milestone_images is not None and self.milestone_steps is None:
            raise ValueError(
                f"milestone_images is {self.milestone_images}, but milestone_steps is null; say every how many steps "
                f"they are scored"
            )
        return self
