"""A tokenizer made as docs/extending.md says, in a few lines: every pixel block's mean grey is its token."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from titok.config.section import Section
from titok.models import folder
from titok.models.image_tokenizer import Ids, ImageTokenizer, TokenFacts


class ToyModel(Section):
    """Images of ``image_size`` pixels become blocks of ``block`` pixels, each of one of ``codebook_size`` greys."""

    image_size: int = 32
    block: int = 8
    codebook_size: int = 16


class Toy(ImageTokenizer):
    """Its facts, encode, tokenize and detokenize; nothing else is asked of a tokenizer."""

    config: ToyModel

    def __init__(self, config: ToyModel) -> None:
        super().__init__()
        self.config = config
        self.scale = nn.Parameter(torch.ones(()))

    @property
    def facts(self) -> TokenFacts:
        config = self.config
        return TokenFacts(config.image_size, (config.image_size // config.block) ** 2, config.codebook_size)

    def encode(self, images: Tensor) -> Tensor:
        means = nn.functional.avg_pool2d(images.mean(1, keepdim=True), self.config.block)
        return self.scale * means.flatten(1)[:, :, None]

    @torch.no_grad()
    def tokenize(self, images: Tensor) -> Ids:
        levels = self.encode(images)[:, :, 0] * self.config.codebook_size
        return Ids(levels.long().clamp(0, self.config.codebook_size - 1))

    def detokenize(self, ids: Ids) -> Tensor:
        side = self.config.image_size // self.config.block
        greys = (ids.values.float() + 0.5).reshape(-1, 1, side, side) / self.config.codebook_size
        return nn.functional.interpolate(greys, scale_factor=self.config.block).expand(-1, 3, -1, -1)


@pytest.fixture
def toy_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one line that makes every verb open it."""
    monkeypatch.setitem(folder.KINDS, "toy", folder.Kind(ToyModel, Toy))


def write_toy(path: Path, **settings: int) -> Toy:
    """A model folder, saved by the suite itself."""
    from titok.models.hub import save

    model = Toy(ToyModel(**settings))
    save(model, path, layout="own")
    return model
