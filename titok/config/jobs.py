"""What single jobs read: each named thing of a study, resolved to every value it depends on and nothing else.

A job's document is written to ``results/{study}/configs/{kind}/{name}.yaml``; only a change of its identity (see
``titok.config.section``) makes its rule run again. That is why a plot option never retrains, one tokenizer's change
never touches another, and more images at once score nothing anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from titok.config.job_settings import (
    ClassifierJob,
    CodesJob,
    DataJob,
    GeneratorJob,
    PixelStageJob,
    ProbeJob,
    ReleasedGeneratorJob,
    ReleasedTokenizerJob,
    ReleasedVQGANJob,
    SampleJob,
    ScoreJob,
    Stage1Job,
    ThroughputJob,
    TokensJob,
    VQGANJob,
)
from titok.config.model import GeneratorModel, TokenizerModel, VQGANModel
from titok.config.section import Section
from titok.config.tokenizer_facts import tokenizer_facts
from titok.config.training import ImageTraining

if TYPE_CHECKING:
    from titok.config.study import Study


JobKind = Literal[
    "data",
    "classifier",
    "vqgan",
    "codes",
    "stage1",
    "stage2",
    "single_stage",
    "tokens",
    "generator",
    "released_vqgan",
    "released_tokenizer",
    "released_generator",
    "sample",
    "score",
    "probe",
    "throughput",
]


def tokenizer_model(study: Study, name: str, stage: str) -> TokenizerModel:
    """The model settings of a named tokenizer in one of its stages."""
    entry = study.tokenizers[name]
    head = entry.head or ("proxy_codes" if entry.recipe == "two_stage" else "pixels")
    vqgan = study.vqgan.model if study.vqgan else VQGANModel()
    shared = entry.model_dump(include=set(TokenizerModel.model_fields) - {"encoder", "decoder", "head"})
    return TokenizerModel(
        **shared,
        head=head,
        pixel_lookup="argmax" if stage == "stage1" else "soft",
        image_size=study.dataset.image_size,
        encoder=study.sizes[entry.encoder],
        decoder=study.sizes[entry.decoder],
        vqgan=vqgan if head == "proxy_codes" else None,
    )


def _data(study: Study, name: str) -> Section:
    return DataJob(dataset=study.dataset.prepared())


def _classifier(study: Study, name: str) -> Section:
    entry = study.classifiers[name]
    return ClassifierJob(dataset=study.dataset.seen(), model=entry.model, training=entry.training)


def _vqgan(study: Study, name: str) -> Section:
    entry = study.vqgan if name == "all" else study.baselines[name]
    if entry is None or entry.training is None:
        raise KeyError("the study trains no vqgan")
    shared = _reconstructing(study, entry.training)
    return VQGANJob(model=entry.model, losses=entry.losses, **shared)


def _stage1(study: Study, name: str) -> Section:
    entry = study.tokenizers[name].stage1
    if entry is None:
        raise KeyError(f"tokenizer {name!r} has no stage1")
    model = tokenizer_model(study, name, "stage1")
    stored = study.proxy_codes.stored() if study.proxy_codes else None
    shared = _reconstructing(study, entry.training)
    return Stage1Job(model=model, losses=entry.losses, proxy_codes=stored, **shared)


def _reconstructing(study: Study, training: ImageTraining) -> dict[str, Any]:
    """What trainings share whose models give images back; how they are scored only where they are."""
    evaluation = None
    if training.milestone_images is not None:
        scored = study.evaluation.of_reconstructions()
        evaluation = scored.model_copy(update={"uncertainty": None, "lpips": None, "kid": None})
    return {"dataset": study.dataset.seen(), "training": training, "evaluation": evaluation}


def _codes(study: Study, name: str) -> Section:
    if study.proxy_codes is None:
        raise KeyError("the study computes proxy codes while training; its proxy_codes is null")
    return CodesJob(dataset=study.dataset.seen(), codes=study.proxy_codes.stored())


def _pixel_stage(stage: Literal["stage2", "single_stage"]) -> Callable[[Study, str], Section]:
    def build(study: Study, name: str) -> Section:
        entry = getattr(study.tokenizers[name], stage)
        if entry is None:
            raise KeyError(f"tokenizer {name!r} has no {stage}")
        model = tokenizer_model(study, name, stage)
        return PixelStageJob(model=model, losses=entry.losses, **_reconstructing(study, entry.training))

    return build


def _tokens(study: Study, name: str) -> Section:
    return TokensJob(dataset=study.dataset.seen(), views=study.token_views)


def _released_vqgan(study: Study, name: str) -> Section:
    entry = study.vqgan
    if entry is None or entry.source is None:
        raise KeyError("the study uses no released vqgan")
    return ReleasedVQGANJob(source=entry.source, model=entry.model)


def _released_tokenizer(study: Study, name: str) -> Section:
    source = study.tokenizers[name].source
    if source is None:
        raise KeyError(f"tokenizer {name!r} is no released one")
    return ReleasedTokenizerJob(source=source, model=tokenizer_model(study, name, "released"))


def _released_generator(study: Study, name: str) -> Section:
    source = study.generators[name].source
    if source is None:
        raise KeyError(f"generator {name!r} is no released one")
    return ReleasedGeneratorJob(source=source, model=generator_model(study, name))


def generator_model(study: Study, name: str) -> GeneratorModel:
    """The model settings of a named generator: its shape, and what its tokenizer and dataset say."""
    entry = study.generators[name]
    tokenizer = tokenizer_facts(study, entry.tokenizer)
    return GeneratorModel(
        **entry.model.model_dump(),
        num_tokens=tokenizer.num_tokens,
        codebook_size=tokenizer.codebook_size,
        num_classes=study.dataset.num_classes,
    )


def _generator(study: Study, name: str) -> Section:
    entry = study.generators[name]
    if entry.training is None:
        raise KeyError(f"generator {name!r} is not trained")
    model = generator_model(study, name)
    return GeneratorJob(model=model, mask_schedule=entry.mask_schedule, training=entry.training, losses=entry.losses)


def _sample(study: Study, name: str) -> Section:
    return SampleJob(
        sampler=study.samplers[name],
        num_samples=study.evaluation.num_samples,
        num_classes=study.dataset.num_classes,
        batch_size=study.evaluation.batch_size,
    )


def _score(study: Study, name: str) -> Section:
    evaluation = study.evaluation
    # The workflow reads these two, so that neither is scored again for what the other alone depends on.
    parts = {"all": evaluation, "reconstructions": evaluation.of_reconstructions(), "samples": evaluation.of_samples()}
    return ScoreJob(study=study.study, dataset=study.dataset.seen(), evaluation=parts[name])


def _probe(study: Study, name: str) -> Section:
    batch_size = study.evaluation.batch_size
    return ProbeJob(study=study.study, dataset=study.dataset.seen(), batch_size=batch_size, probe=study.probe)


def _throughput(study: Study, name: str) -> Section:
    if study.throughput is None:
        raise KeyError("the study measures speed while it samples; its throughput is null")
    return ThroughputJob(
        study=study.study,
        sampler=study.samplers[name],
        image_size=study.dataset.image_size,
        throughput=study.throughput,
    )


_BUILDERS: dict[JobKind, Callable[[Study, str], Section]] = {
    "data": _data,
    "classifier": _classifier,
    "vqgan": _vqgan,
    "codes": _codes,
    "stage1": _stage1,
    "stage2": _pixel_stage("stage2"),
    "single_stage": _pixel_stage("single_stage"),
    "tokens": _tokens,
    "generator": _generator,
    "released_vqgan": _released_vqgan,
    "released_tokenizer": _released_tokenizer,
    "released_generator": _released_generator,
    "sample": _sample,
    "score": _score,
    "probe": _probe,
    "throughput": _throughput,
}


def job(study: Study, kind: JobKind, name: str) -> Section:
    """The resolved settings of one job.

    Raises:
        KeyError: there is no such kind of job, or the study has nothing of that name.
    """
    if kind not in _BUILDERS:
        raise KeyError(f"no kind of job is called {kind!r}; allowed: {', '.join(_BUILDERS)}")
    return _BUILDERS[kind](study, name).model_copy(update={"arithmetic": study.arithmetic})


def job_names(study: Study) -> Iterator[tuple[JobKind, str]]:
    """(kind, name) of every job of a study; `all` where there is only one."""
    yield from ((kind, "all") for kind in ("data", "tokens", "score", "probe"))
    yield from (("score", name) for name in ("reconstructions", "samples"))
    if study.vqgan:
        yield ("vqgan" if study.vqgan.training else "released_vqgan"), "all"
    yield from (("vqgan", name) for name in study.baselines)
    if study.proxy_codes:
        yield "codes", "all"
    yield from (("classifier", name) for name in study.classifiers)
    for name, tokenizer in study.tokenizers.items():
        yield from (("released_tokenizer" if stage == "released" else stage, name) for stage in tokenizer.stages)
    for name, generator in study.generators.items():
        yield ("generator" if generator.training else "released_generator"), name
    yield from (("sample", name) for name in study.samplers)
    if study.throughput:
        yield from (("throughput", name) for name in study.samplers)
