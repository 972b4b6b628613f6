"""A study: one YAML file that names a dataset, everything trained on it, and the tables and figures wanted.

Names refer to names (a generator to its tokenizer, a table row to a sampler); ``titok.config.check`` looks whether they
fit each other. What single jobs read is derived in ``titok.config.jobs``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from titok.config.adaptive_length import AdaptiveLength
from titok.config.data import StudyDataset
from titok.config.entries import Baseline, Classifier, Generator, ProxyTokenizer, Seeds, Tokenizer
from titok.config.evaluation import Evaluation
from titok.config.external import EXTERNAL, External
from titok.config.floors import FLOOR, Floor, ImageRegions
from titok.config.model import TransformerSize, VQGANModel
from titok.config.probe import LinearProbe
from titok.config.quantization import Quantization
from titok.config.reporting import Reporting
from titok.config.resources import Resources
from titok.config.rows import PROXY_TOKENIZER
from titok.config.sampling import Sampler
from titok.config.section import Name, Neutral, Section
from titok.config.soft_tokens import EncoderTokenizer
from titok.config.throughput import Throughput
from titok.config.views import ProxyCodes, ViewSet
from titok.runtime.arithmetic import Arithmetic


class Study(Section):
    """A whole study; see ``config/README.md`` for how to write one."""

    study: Name
    """Its name, and the folder under `results/`."""
    title: str
    description: str = ""
    seeds: Seeds = (0,)
    arithmetic: Arithmetic = "native"
    """`portable`: every CPU computes the same bits, with one thread and no instructions newer than AVX2; for small
    networks. `native`: each machine as fast as it can."""
    dataset: StudyDataset
    sizes: dict[Name, TransformerSize]
    classifiers: dict[Name, Classifier] = Field(default_factory=dict)
    vqgan: ProxyTokenizer | None = None
    baselines: dict[Name, Baseline] = Field(default_factory=dict)
    """2D VQGANs beside it that are measured only, e.g. one trained by another recipe (paper Table 3c)."""
    proxy_codes: ProxyCodes | None = None
    """Views whose proxy codes are stored before stage 1; null: codes of every batch are computed while training."""
    tokenizers: dict[Name, Tokenizer] = Field(default_factory=dict)
    """TiToks; a file may also have its 2D VQGANs here, with `family: vqgan`, and frozen encoders, with `family:
    encoder` (see `titok.config.families`)."""
    soft_tokenizers: Annotated[dict[Name, EncoderTokenizer], Neutral({})] = {}  # noqa: RUF012 (as below)
    """Frozen encoders, each with a decoder that is trained on its tokens."""
    external: Annotated[dict[Name, External], Neutral({})] = {}  # noqa: RUF012 (pydantic copies defaults)
    """Reconstructions that other programs made of the test images: rows like any other."""
    floors: Annotated[dict[Name, Floor], Neutral({})] = {}  # noqa: RUF012
    """What a tokenizer must beat: mean patches, and regions of one colour."""
    token_views: ViewSet = ViewSet()
    """Windows of each image that become tokens for the generators."""
    generators: dict[Name, Generator] = Field(default_factory=dict)
    samplers: dict[Name, Sampler] = Field(default_factory=dict)
    evaluation: Evaluation
    adaptive_length: Annotated[AdaptiveLength | None, Neutral(None)] = None
    """How tokenizers of several lengths give each image its own; null: their longest codes are measured alone."""
    probe: LinearProbe = LinearProbe()
    quantization: Annotated[Quantization, Neutral(Quantization())] = Quantization()
    """How channels of soft tokens are rounded, where a figure draws their quality over bits."""
    throughput: Throughput | None = None
    """How sampling speed is measured, once per generator and sampler; null: tables show the speed at which the scored
    samples were made, whatever else the machine did."""
    reporting: Reporting = Reporting()
    resources: dict[str, Resources] = Field(default_factory=dict)
    """What jobs take: `default`, a kind of job (`stage1`) or one job (`stage1/l32`), each key over the one before."""

    def tokenizer_seeds(self, tokenizer: str) -> tuple[int, ...]:
        """Seeds a tokenizer or baseline is trained with; the study's one VQGAN serves all of them, and of what others
        made, or what nothing random is in, there is one."""
        floor = self.floors.get(tokenizer)
        if tokenizer in self.external or isinstance(floor, ImageRegions):
            return (0,)
        if floor is not None:
            return floor.seeds or self.seeds
        if tokenizer == PROXY_TOKENIZER:
            return self.seeds
        entry = self.baselines.get(tokenizer) or self.soft_tokenizers.get(tokenizer) or self.tokenizers[tokenizer]
        return entry.seeds or self.seeds

    def two_dimensional(self, tokenizer: str) -> VQGANModel | None:
        """The model of the study's 2D VQGAN or of a baseline, by its name; null: the name is neither's."""
        entry = self.vqgan if tokenizer == PROXY_TOKENIZER else self.baselines.get(tokenizer)
        return entry.model if entry else None

    def untrained_stage(self, tokenizer: str) -> str | None:
        """What stands for the stage of a row that no tokenizer of the study makes; null: one does."""
        if tokenizer in self.external:
            return EXTERNAL
        return FLOOR if tokenizer in self.floors else None

    def is_foreign(self, generator: str) -> bool:
        """Whether a generator's ids become images by another program's decoder, and not here."""
        return self.generators[generator].tokenizer in self.external

    def sampled(self) -> list[tuple[str, str]]:
        """(generator, sampler) of all samples that are scored: made here, or by another program's decoder."""
        return [
            (name, sampler)
            for name, entry in self.generators.items()
            for sampler in (entry.decoded if self.is_foreign(name) else entry.samplers)
        ]

    def generator_seeds(self, generator: str) -> tuple[int, ...]:
        """Seeds a generator is trained with."""
        return self.generators[generator].seeds or self.seeds[:1]
