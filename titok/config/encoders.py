"""Networks of timm whose features are compared beside those of the extractor: Frechet distances that are no FID."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from titok.config.section import KnownBy, Neutral, PositiveInt, Section


class Encoder(Section):
    """One frozen network, by its name in timm; images become its input by timm's own data configuration."""

    model: Annotated[str, Field(min_length=1)]
    """As timm calls it, with the tag whose preprocessing is meant: `vit_base_patch14_reg4_dinov2.lvd142m`."""
    label: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 .+-]*$")]
    """What its numbers are called: `DINOv2` gives DINOv2-FD and DINOv2-KID."""
    weights: Annotated[str, Field(min_length=1), KnownBy("sha256")]
    """Path of its state_dict: `.safetensors`, or a PyTorch file of tensors, or `package:NAME/FILE` inside an installed
    Python package. Nothing is downloaded or made up."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """What the file's SHA-256 must be; null takes the file as it is (every score records the sum it found)."""
    names: Literal["exact", "by_order"] = "exact"
    """How tensors find their places. `exact`: by timm's names. `by_order`: first to first, for ports that call them
    otherwise; their number and shapes must agree, which shows most mistakes and not all."""
    input_size: Annotated[PositiveInt | None, Neutral(None)] = None
    """Side of what the network sees, images being resized to it; null: what timm says. Small photographs enlarged less
    cost less, and have distances of their own."""
    one_of: Annotated[PositiveInt, Neutral(1)] = 1
    """Looks at one of so many images, at a place drawn in each run of them: for large networks on slow machines."""
    samples: Annotated[bool, Neutral(True)] = True
    """Whether samples are judged, too; every score of samples looks at the real images anew."""

    @field_validator("label")
    @classmethod
    def _no_fid(cls, label: str) -> str:
        if "fid" in label.lower():
            raise ValueError(f"label is {label!r}; FID is the Inception network's alone: name this network")
        return label
