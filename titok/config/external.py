"""What other programs made: reconstructions, a row of the tables by the protocol of all others, and tokens, which
generators of ours learn."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from titok.config.section import KnownBy, Neutral, PositiveFloat, PositiveInt, Section
from titok.config.views import MAX_IDS

EXTERNAL = "external"
"""Stage and recipe of such a row."""
Text = Annotated[str, Field(min_length=1)]
Pairing = Literal["names", "order"]


class ExternalTokens(Section):
    """The ids of the training images, one row for each."""

    path: Annotated[Text, KnownBy("sha256")]
    """A `.npz` with `ids` integers (N, K) and `names` (N,), the images' own in any order, or, for ids in the order of
    the images, their classes as `labels` (N,); both may be there."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Null: made when the workflow is planned, so that other ids are learned anew."""


class External(Section):
    """What another tokenizer made of the test images, one reconstruction for each."""

    reconstructions: Annotated[Text, KnownBy("sha256")]
    """A folder of pictures, or a `.npz` with `arr_0` uint8 (N, H, W, 3) in the order of the test images."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of the file; of a folder, of its files' names, sizes and times. Null: made when the workflow is planned, so that
    other reconstructions are scored again."""
    pairing: Pairing = "names"
    """How pictures of a folder find their originals: by their names, or as many as there are, in order of names,
    in which numbers have one length, as 0009 and 0010."""
    num_latent_tokens: PositiveInt | None = None
    """Tokens per image; null where there are none."""
    codebook_size: PositiveInt | None = None
    """Different values of a token; null for soft tokens."""
    tokens: Annotated[ExternalTokens | None, Neutral(None)] = None
    """Ids of the training images, for generators; needs `num_latent_tokens` and `codebook_size`."""
    bits_per_image: PositiveFloat | None = None
    """What an image takes, all side information included; null: tokens x log2 of the codebook's size."""
    source: Text
    """Whose model it is and how the reconstructions were made: an address, a commit, a command."""
    licence: Text
    """Of the model's weights."""

    @model_validator(mode="after")
    def _a_codebook_is_of_tokens(self) -> Self:
        if self.codebook_size is not None and self.num_latent_tokens is None:
            raise ValueError(
                f"codebook_size is {self.codebook_size}, but num_latent_tokens is null; say how many tokens an image "
                f"has"
            )
        return self

    @model_validator(mode="after")
    def _ids_are_of_known_shape(self) -> Self:
        unsaid = [key for key in ("num_latent_tokens", "codebook_size") if getattr(self, key) is None]
        if self.tokens is not None and unsaid:
            raise ValueError(
                f"tokens has ids, but {' and '.join(unsaid)} is null; say how many ids an image has and how many "
                f"values an id"
            )
        if self.tokens is not None and self.codebook_size is not None and self.codebook_size > MAX_IDS:
            raise ValueError(
                f"tokens are kept in 16 bits, but codebook_size is {self.codebook_size}; allowed: up to {MAX_IDS}"
            )
        return self
