"""Which images a study is about, where they come from, and at what size they are seen.

Three sections share a base: jobs that read images get a `Dataset`, `titok prepare` gets a `Preparation`, and a study's
`dataset` is both. So another image size prepares nothing anew, and archives that move retrain nothing.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from titok.config.data_sources import SOURCES, DatasetIdentity, SourcedDataset
from titok.config.section import NonNegativeInt, PositiveInt, Section

ResizeRule = Literal["official", "adm", "bilinear", "none"]


class Dataset(DatasetIdentity):
    """What jobs that read images know of them; defaults are those of the study in miniature."""

    resize: PositiveInt = 18
    """Pixels of the shorter edge after resizing, before the crop."""
    image_size: PositiveInt = 16
    """Side of the square crop that models see."""
    resize_rule: ResizeRule = "official"
    """`official`: bicubic, the longer edge follows (truncated) and crops are windows of it. `adm`: ADM's central square
    of `resize` x `resize` pixels (box halvings, then bicubic), of which crops are windows. `bilinear`: as `official`
    with another filter, as MaskBit does. `none`: the photograph as it is, with black around it where an edge is shorter
    than `resize`; with `resize` and `image_size` 256 the other cropping of docs/adaptive_length.md."""
    in_memory: bool = True
    """True: a split is decoded and resized once and kept as one array, which needs images that are square after
    resizing and memory for all of them (number x resize x resize x 3 bytes). False: images are decoded from the shards
    whenever they are needed. Where nothing is said, the kinds `digits` and `cifar10` are kept in memory."""

    @model_validator(mode="before")
    @classmethod
    def _small_kinds_surely_fit(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "in_memory" in given:
            return given
        return {**given, "in_memory": _is_small(given.get("kind", "digits"))}

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.resize < self.image_size:
            raise ValueError(
                f"resize is {self.resize}, smaller than image_size {self.image_size}; "
                f"a crop cannot be larger than the image: allowed: {self.image_size} or more"
            )
        return self


def _is_small(kind: object) -> bool:
    """A kind that there is not is told when it is checked."""
    return isinstance(kind, str) and kind in SOURCES and SOURCES[kind].is_small


class ImageCounts(Section):
    """How many images each split must have."""

    train: PositiveInt
    test: PositiveInt


class Preparation(SourcedDataset):
    """What `titok prepare` knows: which images, from where, and what may be wrong with them."""

    images: ImageCounts | None = None
    """The numbers to find, e.g. `{train: 1281167, test: 50000}`; another number is an error. Null: not checked."""
    allow_undecodable: NonNegativeInt = 0
    """Training images that may be left out because they cannot be decoded; more are an error, and so is a single one
    among the test images, always."""
    shard_images: PositiveInt = 4000
    """Images per shard; 4000 photographs of ImageNet are about 450 MB."""

    @model_validator(mode="after")
    def _source_fits_kind(self) -> Self:
        given = [name for name in sorted(SOURCES) if getattr(self, name, None) is not None]
        needed = [] if self.kind == "digits" else [self.kind]
        if given != needed:
            raise ValueError(
                f"kind is {self.kind!r}, which takes {f'the section {self.kind!r}' if needed else 'no source'}, but "
                f"found: {', '.join(given) or 'none'}; name the source of this kind and no other"
            )
        if self.kind == "digits" and (self.images is not None or self.allow_undecodable):
            raise ValueError("kind 'digits' has fixed images, all decodable; remove images and allow_undecodable")
        return self

    @model_validator(mode="after")
    def _classes_are_counted(self) -> Self:
        chosen = self.imagenet.classes if self.imagenet else None
        if chosen is not None and len(chosen) != self.num_classes:
            raise ValueError(
                f"num_classes is {self.num_classes}, but imagenet.classes lists {len(chosen)}; set num_classes: "
                f"{len(chosen)}"
            )
        return self


class StudyDataset(Dataset, Preparation):
    """A study's images: their source, their split, and the size they are seen at."""

    parts: PositiveInt = 1
    """Jobs that prepare a split side by side; the result is the same for any number, so choose it before preparing:
    another number later makes Snakemake look at all of it again."""

    def seen(self) -> Dataset:
        """What jobs that read images depend on."""
        return Dataset(**self.model_dump(include=set(Dataset.model_fields)))

    def prepared(self) -> Preparation:
        """What preparing depends on."""
        return Preparation(**self.model_dump(include=set(Preparation.model_fields)))
