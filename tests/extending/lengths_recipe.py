"""A tokenizer whose images may have fewer tokens, trained and scored by a study: the toy's recipe, its files longer."""

from __future__ import annotations

from extending.recipes import Recipe
from extending.toy_tokenizer_recipe import TOKENIZER

_MODEL = '''\
"""A pyramid of greys: the whole image's mean, those of its quarters, of its sixteenths ...; a colour is learned."""

import torch
from torch import Tensor, nn

from titok.config.toy import ToyModel
from titok.models.image_tokenizer import Coded, Ids, ImageTokenizer, TokenFacts


class Toy(ImageTokenizer):
    """The coarse levels alone are a code, too: lengths 1, 5, 21 ..."""

    def __init__(self, config: ToyModel) -> None:
        super().__init__()
        self.config = config
        self.tint = nn.Parameter(torch.zeros(3, 1, 1))
        self.sides = [2**level for level in range((config.image_size // config.block).bit_length())]

    @property
    def facts(self) -> TokenFacts:
        lengths = tuple(sum(side**2 for side in self.sides[: last + 1]) for last in range(len(self.sides)))
        config = self.config
        return TokenFacts(config.image_size, lengths[-1], config.codebook_size, lengths=lengths, is_nested=True)

    def encode(self, images: Tensor) -> Tensor:
        grey = images.mean(1, keepdim=True)
        means = [nn.functional.adaptive_avg_pool2d(grey, side).flatten(1) for side in self.sides]
        return torch.cat(means, dim=1)[:, :, None]

    @torch.no_grad()
    def tokenize(self, images: Tensor) -> Ids:
        levels = self.encode(images)[..., 0] * self.config.codebook_size
        return Ids(levels.long().clamp(0, self.config.codebook_size - 1))

    def codes(self, images, lengths):
        ids = self.tokenize(images).values
        for length in lengths:
            kept = yield Coded(self.vectors(ids[:, :length]), ids[:, :length])
            ids = ids[kept]

    def vectors(self, ids: Tensor) -> Tensor:
        return (ids.float()[..., None] + 0.5) / self.config.codebook_size

    def decode(self, latents: Tensor) -> Tensor:
        side = self.sides[self.facts.lengths.index(latents.shape[1])]
        finest = latents[:, -(side**2) :, 0].reshape(-1, 1, side, side)
        return nn.functional.interpolate(finest, size=self.config.image_size) + self.tint

    def detokenize(self, ids: Ids) -> Tensor:
        return ids.decoded(lambda values: self.decode(self.vectors(values)))
'''

_SAID = """
    is_nested = True

    def lengths(self, most):
        return tuple(one for one in (1, 5, 21, 85, 341) if one <= most)
"""

LENGTHS = Recipe(new={}, edits=())
"""What is new or edited beside the files of a tokenizer of one length."""
_SETTINGS = TOKENIZER.new["titok/config/toy.py"]
LENGTHS_IN_A_STUDY = Recipe(
    new=TOKENIZER.new | {"titok/models/toy.py": _MODEL, "titok/config/toy.py": _SETTINGS.rstrip() + _SAID},
    edits=TOKENIZER.edits,
)
