"""A study: one YAML file that names a dataset, everything trained on it, and the tables and figures wanted.

Names refer to names (a generator to its tokenizer, a table row to a sampler); all of them are checked here, before
any job starts. What single jobs read is derived in ``titok.config.jobs``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Self, get_args

from pydantic import Field, ValidationError, model_validator

from titok.config.cluster import Resources, check_resources
from titok.config.data import StudyDataset
from titok.config.entries import Baseline, Classifier, Generator, ProxyTokenizer, Seeds, StageName, Tokenizer
from titok.config.evaluation import Evaluation
from titok.config.model import TransformerSize
from titok.config.probe import LinearProbe
from titok.config.protocols import PROTOCOLS
from titok.config.reporting import Reporting
from titok.config.rows import PROXY_TOKENIZER
from titok.config.sampling import Sampler
from titok.config.section import Name, Section
from titok.config.throughput import Throughput
from titok.config.tokenizer_facts import TokenizerFacts, tokenizer_facts
from titok.config.training import ReconstructionLosses
from titok.config.views import ProxyCodes, ViewSet
from titok.runtime.arithmetic import Arithmetic

if TYPE_CHECKING:
    from titok.config.jobs import JobKind


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
    token_views: ViewSet = ViewSet()
    """Windows of each image that become tokens for the generators."""
    generators: dict[Name, Generator] = Field(default_factory=dict)
    samplers: dict[Name, Sampler] = Field(default_factory=dict)
    evaluation: Evaluation
    probe: LinearProbe = LinearProbe()
    throughput: Throughput | None = None
    """How sampling speed is measured, once per generator and sampler; null: tables show the speed at which the scored
    samples were made, whatever else the machine did."""
    reporting: Reporting = Reporting()
    resources: dict[str, Resources] = Field(default_factory=dict)
    """What jobs take: `default`, a kind of job (`stage1`) or one job (`stage1/l32`), each key over the one before."""

    def tokenizer_seeds(self, tokenizer: str) -> tuple[int, ...]:
        """Seeds a tokenizer or baseline is trained with; the study's one VQGAN serves all of them."""
        if tokenizer == PROXY_TOKENIZER:
            return self.seeds
        return (self.baselines.get(tokenizer) or self.tokenizers[tokenizer]).seeds or self.seeds

    def generator_seeds(self, generator: str) -> tuple[int, ...]:
        """Seeds a generator is trained with."""
        return self.generators[generator].seeds or self.seeds[:1]

    def tokenizer_facts(self, tokenizer: str) -> TokenizerFacts:
        """What is known of a tokenizer, a baseline or the VQGAN from outside."""
        return tokenizer_facts(self, tokenizer)

    def generator_stage(self, generator: str) -> str:
        """The stage of the tokenizer that a generator's tokens come from and go back through."""
        entry = self.generators[generator]
        return entry.stage or self.tokenizer_facts(entry.tokenizer).stages[-1]

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        known: dict[str, Mapping[str, object]] = {
            "tokenizer": {**self.tokenizers, **self.baselines},
            "generator": self.generators,
            "sampler": self.samplers,
            "size": self.sizes,
            "classifier": self.classifiers,
        }
        for kind, name, where in self._references():
            _require(kind, name, known[kind], where)
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        from titok.config.jobs import job_names  # jobs are derived from studies, so they import this module

        self._check_tokenizer_names()
        for name, tokenizer in self.tokenizers.items():
            if tokenizer.recipe == "two_stage" and self.vqgan is None:
                raise ValueError(
                    f"tokenizers.{name} has recipe 'two_stage' but the study has no vqgan section; add one"
                )
        for where, losses in self._reconstruction_losses():
            missing = losses.perceptual.missing_weights
            if missing and losses.perceptual.weight > 0:
                raise ValueError(
                    f"{where}.losses.perceptual has kind {losses.perceptual.kind!r} but no file for "
                    f"weights.{', weights.'.join(missing)}; give each a path (`titok fetch --help` says how to get "
                    f"them), or choose another kind"
                )
        self._check_protocol()
        if self.proxy_codes is not None:
            if self.vqgan is None:
                raise ValueError("proxy_codes are wanted but the study has no vqgan section; add one, or remove them")
            self.proxy_codes.check(self.dataset)
        for name, generator in self.generators.items():
            self._check_generator(name, generator)
        for stage_of, stage, where in self.reporting.stages():
            _require("stage", stage, self.tokenizer_facts(stage_of).stages, where)
        for generator_of, sampler, where in self.reporting.runs():
            _require("sampler", sampler, self.generators[generator_of].samplers, where)
        for shown, generator_of, where in self.reporting.pairs():
            learned = self.generators[generator_of].tokenizer
            if shown != learned:
                raise ValueError(
                    f"{where} shows tokenizer {shown!r}, but generator {generator_of!r} learns the tokens of "
                    f"{learned!r}; a row is about one tokenizer: name {learned!r}, or use two rows"
                )
        for seed, trained, where in self._seeds_shown():
            if seed not in trained:
                raise ValueError(f"{where} is {seed}, but nothing is trained with it; allowed: {sorted(trained)}")
        for kind, job_name in job_names(self):
            self._check_shapes(kind, job_name)
        for name, tokenizer in self.tokenizers.items():
            self._check_patches(name, tokenizer)
        check_resources(self, list(job_names(self)))
        return self

    def _check_tokenizer_names(self) -> None:
        """Rows and generators name a tokenizer, a baseline and the VQGAN alike; and a baseline's job has its name."""
        for where, names in (("tokenizers", self.tokenizers), ("baselines", self.baselines)):
            if PROXY_TOKENIZER in names:
                raise ValueError(
                    f"{where} has {PROXY_TOKENIZER!r}, the name of the study's 2D VQGAN; choose another name"
                )
        for name in self.baselines:
            if name in self.tokenizers or name == "all":
                taken = "a tokenizer has" if name in self.tokenizers else "means all jobs of a kind"
                raise ValueError(f"baselines has {name!r}, a name that {taken}; choose another name")

    def _check_protocol(self) -> None:
        """What a named protocol fixes outside the section `evaluation`."""
        name = self.evaluation.protocol
        if name is None:
            return
        protocol = PROTOCOLS[name]
        for key, value in protocol.dataset.items():
            if getattr(self.dataset, key) != value:
                raise ValueError(
                    f"dataset.{key} is {getattr(self.dataset, key)!r}, but protocol {name!r} fixes it to {value!r}; "
                    f"change it, or name another protocol"
                )
        needs_file = protocol.samples_against == "reference file"
        if self.generators and needs_file != (self.evaluation.reference is not None):
            raise ValueError(
                f"protocol {name!r} compares samples with {'a' if needs_file else 'the training images, not with a'} "
                f"reference file; {'set' if needs_file else 'remove'} evaluation.reference"
            )

    def _seeds_shown(self) -> Iterator[tuple[int, tuple[int, ...], str]]:
        """(seed, seeds there are, where it is written) of every seed that a figure asks for."""
        wanted = self.reporting.figures
        if wanted.samples:
            trained = self.generator_seeds(wanted.samples.generator)
            yield wanted.samples.seed, trained, "reporting.figures.samples.seed"
        if wanted.reconstructions:
            for row in wanted.reconstructions.rows:
                if row.tokenizer and row.tokenizer != PROXY_TOKENIZER:
                    trained = self.tokenizer_seeds(row.tokenizer)
                    yield wanted.reconstructions.seed, trained, "reporting.figures.reconstructions.seed"

    def _check_shapes(self, kind: JobKind, name: str) -> None:
        """Building a job checks that its numbers fit each other."""
        from titok.config.jobs import job

        try:
            job(self, kind, name)
        except ValidationError as error:
            reasons = "; ".join(str(problem.get("ctx", {}).get("error", problem["msg"])) for problem in error.errors())
            place = f"tokenizers.{name}" if kind in get_args(StageName) else f"{kind}s.{name}"
            raise ValueError(f"{place}: {reasons}") from None

    def _check_patches(self, name: str, tokenizer: Tokenizer) -> None:
        """What is trained must give images back in their own size; released models do as they do."""
        if tokenizer.recipe != "two_stage" or self.vqgan is None:
            return
        pixels = self.vqgan.model.downsampling * tokenizer.codes_per_patch
        if tokenizer.patch_size != pixels:
            raise ValueError(
                f"tokenizers.{name}.patch_size is {tokenizer.patch_size}, but {tokenizer.codes_per_patch} x "
                f"{tokenizer.codes_per_patch} proxy codes (codes_per_patch) of the study's VQGAN cover {pixels} pixels "
                f"along a side; they must be equal, so that images come back in their own size"
            )

    def _check_generator(self, name: str, generator: Generator) -> None:
        if generator.tokenizer == PROXY_TOKENIZER and self.vqgan is None:
            raise ValueError(
                f"generators.{name}.tokenizer is {PROXY_TOKENIZER!r}, but the study has no vqgan section; add one, or "
                f"name a tokenizer"
            )
        tokenizer = self.tokenizer_facts(generator.tokenizer)
        if generator.stage is not None:
            _require("stage", generator.stage, tokenizer.stages, f"generators.{name}.stage")
        if not tokenizer.is_discrete:
            raise ValueError(
                f"generators.{name}.tokenizer is {generator.tokenizer!r}, whose kind is 'vae'; MaskGIT needs discrete "
                f"tokens: name a tokenizer of kind 'vq'"
            )
        missing = set(self.generator_seeds(name)) - set(self.tokenizer_seeds(generator.tokenizer))
        if missing:
            raise ValueError(
                f"generators.{name}.seeds has {sorted(missing)}, which tokenizer {generator.tokenizer!r} is not "
                f"trained with; allowed: {sorted(self.tokenizer_seeds(generator.tokenizer))}"
            )

    def _references(self) -> Iterator[tuple[str, str, str]]:
        """(kind, name, where it is written) of every name that must exist."""
        for name, tokenizer in self.tokenizers.items():
            yield "size", tokenizer.encoder, f"tokenizers.{name}.encoder"
            yield "size", tokenizer.decoder, f"tokenizers.{name}.decoder"
        for name, generator in self.generators.items():
            if generator.tokenizer != PROXY_TOKENIZER:
                yield "tokenizer", generator.tokenizer, f"generators.{name}.tokenizer"
            for sampler in generator.samplers:
                yield "sampler", sampler, f"generators.{name}.samplers"
        for where, losses in self._reconstruction_losses():
            if losses.perceptual.classifier is not None:
                yield "classifier", losses.perceptual.classifier, f"{where}.losses.perceptual.classifier"
        if self.evaluation.extractor.classifier is not None:
            yield "classifier", self.evaluation.extractor.classifier, "evaluation.extractor.classifier"
        yield from self.reporting.references()

    def _reconstruction_losses(self) -> Iterator[tuple[str, ReconstructionLosses]]:
        if self.vqgan and self.vqgan.training:
            yield "vqgan", self.vqgan.losses
        yield from ((f"baselines.{name}", baseline.losses) for name, baseline in self.baselines.items())
        for name, tokenizer in self.tokenizers.items():
            if tokenizer.stage2:
                yield f"tokenizers.{name}.stage2", tokenizer.stage2.losses
            if tokenizer.single_stage:
                yield f"tokenizers.{name}.single_stage", tokenizer.single_stage.losses


def _require(kind: str, name: str, known: Iterable[str], where: str) -> None:
    """Refuses a name nobody defined, with the names there are and the likely typo."""
    names = sorted(known)
    if name in names:
        return
    close = get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"{where} is {name!r}, but there is no {kind} of that name; allowed: {', '.join(names) or 'none defined'}{hint}"
    )
