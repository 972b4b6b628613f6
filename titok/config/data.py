"""Which images a study is about, and at what size they are seen."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from titok.config.section import NonNegativeInt, PositiveInt, Section


class Dataset(Section):
    """Images, their split and their size; defaults are those of the study in miniature."""

    kind: Literal["digits"] = "digits"
    """`digits`: the 1797 handwritten digits that ship inside scikit-learn, no download."""
    resize: PositiveInt = 18
    """Pixels of the shorter edge after resizing, before the crop."""
    image_size: PositiveInt = 16
    """Side of the square crop that models see."""
    num_classes: PositiveInt = 10
    test_images: PositiveInt = 500
    """Images kept for evaluation, spread over the classes as in the whole set; the rest is for training."""
    split_seed: NonNegativeInt = 0
    """Decides which images are test images; part of the dataset, not of a run."""

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        if self.resize < self.image_size:
            raise ValueError(
                f"resize is {self.resize}, smaller than image_size {self.image_size}; "
                f"a crop cannot be larger than the image: allowed: {self.image_size} or more"
            )
        if self.kind == "digits" and self.num_classes != 10:
            raise ValueError(
                f"num_classes is {self.num_classes}, but kind 'digits' has 10 classes; set num_classes: 10"
            )
        if self.kind == "digits" and not 10 <= self.test_images <= 1000:
            raise ValueError(
                f"test_images is {self.test_images}; allowed for kind 'digits': 10 to 1000 of its 1797 images"
            )
        return self
