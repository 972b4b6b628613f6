"""One frozen network that understands images, as typed settings: an entry of ``config/encoders.yaml`` or of a study."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from titok.config.section import PositiveInt, Section


class EncoderRecord(Section):
    """One network of timm, as a giver of soft tokens."""

    model: Annotated[str, Field(min_length=1)]
    """As timm calls it, with its tag."""
    kind: Annotated[str, Field(min_length=1)]
    """What it is, and what it was trained on."""
    image_size: PositiveInt
    """Side of its input in pixels."""
    stride: PositiveInt
    """Pixels of its input along one side of a token: of a patch, or of a place of a CNN's last map."""
    width: PositiveInt
    """Numbers in a token."""
    pooling: Literal["mean", "class"]
    """How its authors make one vector of its tokens: their mean, or the class token."""
    licence: Annotated[str, Field(min_length=1)]
    """Of the weights."""
    commercial: bool = True
    """Whether the licence lets them be used for business."""
    names: Literal["exact", "by_order"] = "exact"
    """How a file's tensors find their places: by timm's names, or first to first."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of the weights' file; null: not recorded yet."""
    weights_from: str = ""
    """Where a file is that needs no hub."""

    @property
    def num_tokens(self) -> int:
        """Of one image."""
        return (self.image_size // self.stride) ** 2

    @property
    def terms(self) -> str:
        """Of the weights, as people are told them."""
        return self.licence if self.commercial else f"{self.licence} (not for business)"
