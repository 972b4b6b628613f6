"""The linear probe on a frozen encoder (paper Figure 4b).

The paper names neither features nor settings; its author says that the probe follows MAE in everything, with global
pooling (specification 8.1). The defaults are those of MAE's linear probing (He et al. 2022, appendix A.1: LARS, 90
epochs, batch 16,384, learning rate 0.1 x batch / 256, no weight decay) for ImageNet's 1,281,167 images; other studies
set their own. Which features are pooled nobody says, and it decides what comes out: `readings` takes several.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import model_validator

from titok.config.section import Fraction, Neutral, NonNegativeFloat, PositiveFloat, PositiveInt, Section
from titok.config.training import Optimizer, Schedule, Training
from titok.config.views import ViewSet

ReadFrom = Literal["bottleneck", "width", "codes"]
"""Where a tokenizer is read."""


class ProbeOptimizer(Optimizer):
    """LARS as MAE's protocol has it, or AdamW for small studies."""

    kind: Literal["lars", "adamw"] = "lars"
    """`lars` reads `momentum` and `trust_coefficient`, `adamw` reads `betas` and `eps`."""
    learning_rate: PositiveFloat = 6.4
    weight_decay: NonNegativeFloat = 0.0
    momentum: Fraction = 0.9
    trust_coefficient: PositiveFloat = 0.001
    """Length of an update as a share of the length of the weights, before the learning rate."""


class Reading(Section):
    """What a linear classifier of its own reads."""

    of: ReadFrom
    """`bottleneck`: the latents before quantisation, E numbers per token. `width`: what the encoder makes them from, D
    numbers, which is what MAE's protocol reads of an encoder. `codes`: the code vectors that a generator sees, E."""
    pooling: Literal["mean", "concatenate"]
    """Averaged over the K tokens, or side by side."""

    @property
    def name(self) -> str:
        """As in metrics: `width_mean`."""
        return f"{self.of}_{self.pooling}"


class LinearProbe(Training):
    """A linear classifier on frozen latents, behind a batch norm without learnt scale."""

    steps: PositiveInt = 7_038
    """Optimiser updates: 90 epochs."""
    batch_size: PositiveInt = 16_384
    optimizer: ProbeOptimizer = ProbeOptimizer()
    schedule: Schedule = Schedule(kind="cosine", warmup_steps=782, end_learning_rate=0.0)
    max_grad_norm: PositiveFloat = 1e6
    """Gradients are not clipped in MAE's protocol."""
    ema_decay: Fraction | None = None
    features: Literal["mean", "concatenate"] = "mean"
    """Latents before quantisation, averaged over the K tokens (E features) or side by side (K x E)."""
    readings: Annotated[tuple[Reading, ...], Neutral(())] = ()
    """More of the same pass, each with a classifier of its own that trains beside the first and is not felt by it. With
    some, the first has a name among them, too. Clipping, which MAE has not, would see all gradients together."""
    windows: Annotated[Literal["crop", "random_resized_crop"], Neutral("crop")] = "crop"
    """With `views: null`, what an update sees of an image: a window of the resized image, or, as MAE, a window of 8 to
    100 % of the original's area and 3:4 to 4:3 in shape, resized. Both mirrored half of the time."""
    views: ViewSet | None = ViewSet(crops="centre", mirrored=True)
    """Windows of each training image whose features are computed once and kept in a file, number of views x images x
    features x 4 bytes; an update sees one of them at random. Null: features of freshly drawn windows (random crop and
    flip) in every update, as MAE does, at the cost of one pass of the encoder per image and epoch."""

    @property
    def first(self) -> Reading:
        """What is read in any case."""
        return Reading(of="bottleneck", pooling=self.features)

    @property
    def all_readings(self) -> tuple[Reading, ...]:
        """What is read of the longest code."""
        return (self.first, *self.readings)

    @model_validator(mode="after")
    def _each_reading_once(self) -> Self:
        names = [reading.name for reading in self.all_readings]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"readings has {', '.join(twice)} more than once (features: {self.features} is {self.first.name}); "
                f"name each once"
            )
        if self.windows != "crop" and self.views is not None:
            raise ValueError(
                f"windows is {self.windows!r}, but the features of fixed views are stored; set views: null, or "
                f"windows: crop"
            )
        return self
