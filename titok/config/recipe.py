"""What a recipe says of its tokenizers that is not a TiTok's: everybody else asks this and knows no recipe by name."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar, NamedTuple, Protocol

from titok.config.model import TokenizerSettings, TransformerSize, VQGANModel
from titok.config.section import Section
from titok.config.training import Perceptual


class Entry(Protocol):
    """What a tokenizer's entry says beside its recipe (`titok.config.entries.Tokenizer`)."""

    @property
    def settings(self) -> TokenizerSettings:
        """What all kinds of models have."""

    @property
    def encoder(self) -> str:
        """A name of the study's sizes."""

    @property
    def decoder(self) -> str:
        """Another one, or the same."""

    @property
    def num_latent_tokens(self) -> int:
        """K."""


class Around(NamedTuple):
    """What a study says that models depend on."""

    image_size: int
    sizes: Mapping[str, TransformerSize]
    vqgan: VQGANModel
    """Of the study, or the default where it has none."""


class OwnRecipe(Section):
    """The section of a recipe with stages of its own; in a tokenizer's entry it stands under the recipe's name."""

    needs_vqgan: ClassVar[bool] = False
    """Whether the study's 2D VQGAN must be there."""
    is_nested: ClassVar[bool] = False
    """Whether short codes are beginnings of long ones, so that a choice may leave lengths out; as the facts say."""
    trains_encoder_twice: ClassVar[bool] = False
    """Whether every stage has an encoder of its own."""

    @property
    @abstractmethod
    def stages(self) -> tuple[str, ...]:
        """What a tokenizer is trained in, in order."""

    @abstractmethod
    def model(self, entry: Entry, around: Around) -> Section:
        """The settings of the model, which has the same ones in all stages."""

    @property
    def is_discrete(self) -> bool:
        """Whether images become ids."""
        return True

    def lengths(self, most: int) -> tuple[int, ...]:
        """Numbers of tokens that an image can be given, from few to ``most``; empty: all have that many."""
        return ()

    def check(self, entry: Entry) -> None:
        """Raises ValueError where a setting of the entry contradicts the recipe."""

    def perceptuals(self) -> Iterator[tuple[str, Perceptual]]:
        """(where in this section, settings) of every perceptual loss."""
        yield from ()
