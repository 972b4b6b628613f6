"""What one row of a table, one place of the grid or one training curve shows: names of a study's things.

A row may name the paper's row (`paper: table1/titok-l-32`, a row of ``config/paper.csv``), whose numbers then stand
beside ours in columns of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from titok.config.entries import StageName
from titok.config.section import Name, Neutral, PositiveInt, Section

Stage = Literal[StageName, "vqgan_2d"]
STAGES: tuple[str, ...] = get_args(Stage)
PaperRow = Annotated[str, Field(pattern=r"^[a-z0-9_]+/[a-z0-9+_-]+$")]
"""`table/row` of the paper's numbers."""
Pattern = Annotated[str, Field(pattern=r"^[a-z0-9{}_-]+$")]
"""A name with `{size}` and `{k}` left open."""

Codec = Literal["jpeg", "webp"]
CODECS: tuple[str, ...] = get_args(Codec)
"""Ordinary image codecs; their scores lie where a tokenizer of that name would have its own."""
Quality = Annotated[int, Field(ge=1, le=100)]
PROXY_TOKENIZER = "vqgan"
"""Rows that name this tokenizer show the study's 2D VQGAN, which has neither stage nor seed."""


class Row(Section):
    """One line of a table, point of a scatter plot or line of curves."""

    label: str
    """What readers see, e.g. `TiTok-L-32`."""
    tokenizer: Name | None = None
    """Whose reconstruction scores are shown; `vqgan` is the study's 2D VQGAN."""
    stage: Stage | Literal["external", "floor"] = "stage2"
    generator: Name | None = None
    """Whose samples' scores are shown."""
    sampler: Name | None = None
    paper: PaperRow | None = None

    @model_validator(mode="after")
    def _shows_something(self) -> Self:
        if not (self.tokenizer or self.generator or self.paper):
            raise ValueError(f"row {self.label!r} names nothing to show; give a tokenizer, a generator or a paper row")
        if (self.generator is None) != (self.sampler is None):
            raise ValueError(
                f"row {self.label!r} has generator {self.generator!r} and sampler {self.sampler!r}; samples have both: "
                f"give both or neither"
            )
        return self

    @property
    def staged_tokenizer(self) -> str | None:
        """Its tokenizer, if that has stages to choose from; null: there is none, or it is the 2D VQGAN."""
        return _staged(self.tokenizer)

    @property
    def scores(self) -> tuple[str, ...]:
        """Score files below `scores/`, without seed: `reconstruction/l2/stage2`, `generation/l2-vit/eight`."""
        found = []
        if self.tokenizer == PROXY_TOKENIZER:
            found.append("reconstruction/vqgan")
        elif self.tokenizer:
            found.append(f"reconstruction/{self.tokenizer}/{self.stage}")
        if self.generator:
            found.append(f"generation/{self.generator}/{self.sampler}")
        return tuple(found)


class Table(Section):
    """A table whose rows are listed one by one."""

    title: str | None = None
    """Null: the paper's subject of that table."""
    rows: tuple[Row, ...] = ()


class LengthTable(Table):
    """Tokenizers at every length that they have."""

    linear_probe: Annotated[bool, Neutral(False)] = False
    """Whether latents are probed at every length, too."""

    @property
    def scores(self) -> tuple[str, ...]:
        """Score files below `scores/`, without seed."""
        probes = [f"probe/{row.tokenizer}" for row in self.rows] if self.linear_probe else []
        return tuple(dict.fromkeys([*(f"lengths/{row.tokenizer}/{row.stage}" for row in self.rows), *probes]))


class GridGenerators(Section):
    """Generators trained on (part of) the grid's tokenizers, for gFID and sampling speed."""

    pattern: Pattern
    """Their names, e.g. `{size}{k}-vit`."""
    sampler: Name
    sizes: tuple[Name, ...] | None = None
    """Null: every size of the grid."""
    tokens: tuple[PositiveInt, ...] | None = None
    """Null: every K of the grid."""


class Grid(Section):
    """Table 4 and Figure 4: token counts x model sizes."""

    title: str | None = None
    sizes: tuple[Name, ...] = ("s", "b", "l")
    """From the smallest to the largest."""
    tokens: tuple[PositiveInt, ...]
    """K, from few to many."""
    tokenizer: Pattern = "{size}{k}"
    """Names of the tokenizers."""
    stage: Stage = "stage1"
    """Which stage's reconstructions; the paper's grid comes before decoder fine-tuning."""
    linear_probe: bool = True
    """Whether the encoders were probed."""
    generators: GridGenerators | None = None
    paper_points: bool = False
    """Whether Figure 4 shows the paper's points in grey; only where the grid is on the paper's own dataset."""

    @model_validator(mode="after")
    def _grid_is_regular(self) -> Self:
        if sorted(set(self.tokens)) != list(self.tokens):
            raise ValueError(f"tokens is {list(self.tokens)}; list each K once, from few to many")
        patterns = {"tokenizer": self.tokenizer}
        if self.generators:
            patterns["generators.pattern"] = self.generators.pattern
        for key, pattern in patterns.items():
            if "{size}" not in pattern or "{k}" not in pattern:
                raise ValueError(f"{key} is {pattern!r}; it needs both {{size}} and {{k}}, e.g. {{size}}{{k}}")
        for chosen, known, key in self._generator_choices():
            if not set(chosen) <= set(known):
                raise ValueError(f"generators.{key} is {list(chosen)}, which is not part of the grid's {list(known)}")
        return self

    def _generator_choices(self) -> Iterator[tuple[tuple[object, ...], tuple[object, ...], str]]:
        if self.generators:
            yield self.generators.sizes or (), self.sizes, "sizes"
            yield self.generators.tokens or (), self.tokens, "tokens"

    def cells(self) -> Iterator[GridCell]:
        """Every (size, K) with the names of what was trained there, sizes outermost."""
        for size in self.sizes:
            for k in self.tokens:
                yield GridCell(
                    size=size,
                    k=k,
                    row=Row(
                        label=f"TiTok-{size.upper()}-{k}",
                        tokenizer=self.tokenizer.format(size=size, k=k),
                        stage=self.stage,
                        generator=self._generator(size, k),
                        sampler=self.generators.sampler if self.generators and self._generator(size, k) else None,
                    ),
                )

    @property
    def scores(self) -> tuple[str, ...]:
        """Score files below `scores/`, without seed, of every place; encoders are probed if the grid wants it."""
        rows = [cell.row for cell in self.cells()]
        probes = [f"probe/{row.tokenizer}" for row in rows] if self.linear_probe else []
        return tuple(dict.fromkeys([*(stem for row in rows for stem in row.scores), *probes]))

    def _generator(self, size: str, k: int) -> str | None:
        chosen = self.generators
        if chosen is None or size not in (chosen.sizes or self.sizes) or k not in (chosen.tokens or self.tokens):
            return None
        return chosen.pattern.format(size=size, k=k)


class GridCell(Section):
    """One place of the grid."""

    size: Name
    k: PositiveInt
    row: Row


class CurveRun(Section):
    """One line of the training curves."""

    label: str
    tokenizer: Name | None = None
    """`vqgan` is the study's 2D VQGAN."""
    stage: Stage = "stage1"
    generator: Name | None = None
    classifier: Name | None = None

    @model_validator(mode="after")
    def _names_one_run(self) -> Self:
        named = [name for name in (self.tokenizer, self.generator, self.classifier) if name]
        if len(named) != 1:
            raise ValueError(f"curve {self.label!r} names {named}; name exactly one tokenizer, generator or classifier")
        return self

    @property
    def staged_tokenizer(self) -> str | None:
        """Its tokenizer, if that has stages to choose from; null: there is none, or it is the 2D VQGAN."""
        return _staged(self.tokenizer)

    @property
    def task(self) -> str:
        """Runs of one task share a panel, because their losses are of one kind."""
        if self.tokenizer == PROXY_TOKENIZER:
            return "proxy VQGAN"
        if self.tokenizer:
            return _stage_title(self.stage)
        return "generator" if self.generator else "classifier"

    def directory(self, seed: int) -> str:
        """Where the run lies, below `results/{study}/`."""
        if self.tokenizer == PROXY_TOKENIZER:
            return "vqgan"
        if self.tokenizer:
            return f"tokenizers/{self.tokenizer}/seed{seed}/{self.stage}"
        return f"generators/{self.generator}/seed{seed}" if self.generator else f"classifiers/{self.classifier}"


def _staged(tokenizer: str | None) -> str | None:
    return None if tokenizer == PROXY_TOKENIZER else tokenizer


def _stage_title(stage: str) -> str:
    """What a panel of training curves is called; a recipe's several stages are told apart by the end of their names."""
    recipe, of_several, number = stage.rpartition("stage")
    if not (of_several and number.isdigit()):
        return "single stage"
    return f"{recipe.removesuffix('_').upper()}, stage {number}" if recipe else f"stage {number}"
