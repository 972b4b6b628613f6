"""Frozen encoders as tokenizers of a study: soft tokens, and a decoder of ours that is trained on them.

The decoder is RAE's idea (arXiv 2510.11690): an encoder that was made to understand images stays as it is, and a vision
transformer learns to give images back from its tokens. Letters: N tokens of the encoder, K after averaging, E width.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from titok.config.encoder_record import EncoderRecord
from titok.config.model import ClassifierModel, TokenizerModel, TransformerSize, VQGANModel
from titok.config.section import Name, NonNegativeFloat, NonNegativeInt, PositiveInt, Section
from titok.config.training import ImageTraining, ReconstructionLosses
from titok.config.weight_files import WeightFile

SOFT_STAGE: Literal["soft_decoder"] = "soft_decoder"
"""The one stage of such a tokenizer."""
FROZEN: Literal["frozen_encoder"] = "frozen_encoder"
"""Its recipe."""
CLASSIFIER_PLACES = 16
"""N of a classifier of ours, whose last map is averaged to 4 x 4 places (`titok.models.classifier`)."""


class EncoderTokenizer(Section):
    """A frozen encoder whose tokens a decoder of ours learns to show: what a study says of it."""

    family: Literal["encoder"] = "encoder"
    """Said where it stands among a study's `tokenizers`."""
    encoder: EncoderRecord | None = None
    """A network of timm: its name in `config/encoders.yaml`, or a record like those there."""
    weights: WeightFile | None = None
    """The network's; nothing is downloaded, and nothing falls back to random weights."""
    input_size: PositiveInt | None = None
    """Side of what the network sees, images being resized to it; null: the record's `image_size`."""
    own_encoder: Name | None = None
    """In place of `encoder`, what this study trains: one of its classifiers, or `vqgan`, whose features before the
    codebook are the tokens."""
    tokens: Literal["all"] | PositiveInt = "all"
    """K: all that the encoder gives, or their averages over equal rows and columns: 1, 2, 4, 8 ..."""
    normalise: bool = True
    """Each token to mean 0 and variance 1 over its numbers, as RAE has them; false: as they come."""
    decoder: Name
    """A name of the study's `sizes`."""
    patch_size: PositiveInt = 16
    """Pixels of a patch that the decoder draws, along one side."""
    latent_noise: NonNegativeFloat = 0.0
    """RAE's noise on tokens while the decoder learns: normal, with a deviation drawn for each image from |N(0, this)|.
    0: none."""
    training: ImageTraining
    losses: ReconstructionLosses = ReconstructionLosses()
    seeds: Annotated[tuple[NonNegativeInt, ...] | None, Field(min_length=1)] = None
    """Null: the study's."""

    @property
    def record(self) -> EncoderRecord | None:
        """The network of timm, for the size of images that it is given here."""
        if self.encoder is None or self.input_size is None:
            return self.encoder
        return self.encoder.model_copy(update={"image_size": self.input_size})

    @property
    def weight_file(self) -> WeightFile | None:
        """With the sum that the record states, where the entry states none."""
        if self.weights is None or self.encoder is None or self.weights.sha256 is not None:
            return self.weights
        return self.weights.model_copy(update={"sha256": self.encoder.sha256})

    @model_validator(mode="after")
    def _one_encoder(self) -> Self:
        if (self.encoder is None) == (self.own_encoder is None):
            given = "neither is" if self.encoder is None else "both are"
            raise ValueError(f"encoder and own_encoder: {given} given; name a network of timm or one of this study")
        if (self.encoder is None) != (self.weights is None):
            raise ValueError(
                f"encoder is {'' if self.encoder else 'not '}given and weights {'are' if self.weights else 'are not'}; "
                f"a network of timm has weights from a file, and one that this study trains has its own"
            )
        if self.input_size is not None and self.encoder is None:
            raise ValueError(f"input_size is {self.input_size}, but only networks of timm are given resized images")
        stated = self.encoder.sha256 if self.encoder else None
        if stated and self.weights and self.weights.sha256 not in (None, stated):
            raise ValueError(
                f"weights.sha256 is {self.weights.sha256}, but the encoder's record states {stated}; remove one of "
                f"them, or describe another encoder"
            )
        return self

    @model_validator(mode="after")
    def _nothing_is_quantised(self) -> Self:
        if self.losses.quantizer_weight:
            raise ValueError(
                f"losses.quantizer_weight is {self.losses.quantizer_weight}, but frozen tokens have no codebook: "
                f"remove it"
            )
        return self


class FrozenEncoder(Section):
    """What makes the tokens: one of three kinds of network."""

    timm: EncoderRecord | None = None
    classifier: ClassifierModel | None = None
    vqgan: VQGANModel | None = None
    """Its encoder alone."""
    image_size: PositiveInt
    """Of the images that it is given; timm's networks see them resized."""

    KINDS: ClassVar[tuple[str, ...]] = ("timm", "classifier", "vqgan")

    @property
    def num_tokens(self) -> int:
        """N, before they are averaged."""
        if self.timm is not None:
            return self.timm.num_tokens
        return CLASSIFIER_PLACES if self.vqgan is None else (self.image_size // self.vqgan.downsampling) ** 2

    @property
    def width(self) -> int:
        """E."""
        if self.timm is not None:
            return self.timm.width
        if self.vqgan is not None:
            return self.vqgan.code_dim
        assert self.classifier is not None, "one of the three is given"
        return self.classifier.channels[-1]

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        given = [kind for kind in self.KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"the encoder is {' and '.join(given) or 'missing'}; give one of {', '.join(self.KINDS)}")
        if self.timm is not None and self.timm.image_size % self.timm.stride:
            raise ValueError(
                f"input_size is {self.timm.image_size}, no multiple of the {self.timm.stride} pixels of a token of "
                f"{self.timm.model}"
            )
        return self


class SoftModel(Section):
    """The model: a frozen encoder, and the decoder of a TiTok of these sizes."""

    encoder: FrozenEncoder
    num_latent_tokens: PositiveInt
    """K."""
    normalise: bool = True
    patch_size: PositiveInt
    decoder: TransformerSize

    @property
    def image_size(self) -> int:
        """Side of the images that come and go."""
        return self.encoder.image_size

    def of_decoder(self) -> TokenizerModel:
        """Settings whose decoder has these sizes; of the rest of such a TiTok nothing is built."""
        return TokenizerModel(
            kind="vae",
            head="pixels",
            vqgan=None,
            image_size=self.image_size,
            patch_size=self.patch_size,
            decoder=self.decoder,
            num_latent_tokens=self.num_latent_tokens,
            code_dim=self.encoder.width,
        )

    @model_validator(mode="after")
    def _shapes_fit(self) -> Self:
        places, count = self.encoder.num_tokens, self.num_latent_tokens
        if count != places and (count > places or count & (count - 1)):
            raise ValueError(
                f"tokens is {count}, but the encoder gives {places}; allowed: all, or a power of 2 below {places}"
            )
        if self.image_size % self.patch_size:
            raise ValueError(f"patch_size is {self.patch_size}, which does not divide image_size {self.image_size}")
        patches = (self.image_size // self.patch_size) ** 2
        if count > 4 * patches:
            raise ValueError(
                f"the decoder reads {count} tokens for {patches} patches, more than 4 times as many; lower tokens or "
                f"input_size, or make patch_size smaller"
            )
        return self


def encoder_facts(entry: EncoderTokenizer) -> dict[str, str | bool]:
    """Which encoder it is and on what terms its weights come, for what is said of its scores."""
    if entry.encoder is None:
        return {"encoder": f"{entry.own_encoder} of this study"}
    record = entry.encoder
    return {"encoder": record.model, "licence": record.licence, "commercial": record.commercial}
