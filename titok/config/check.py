"""Whether a study's parts fit each other: names that refer to names, shapes, shares of work, what reports show.

Above ``titok.config.jobs``, for a job's settings are checked by building them; ``load_study`` asks here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from pydantic import ValidationError

from titok.config.cluster import check_resources
from titok.config.entries import Generator, Tokenizer
from titok.config.foreign_samples import check_foreign_samples
from titok.config.jobs import JOBS, job, job_names
from titok.config.length_stages import check_lengths
from titok.config.pictures import check_pictures
from titok.config.probed import check_probes
from titok.config.protocols import PROTOCOLS
from titok.config.rows import CODECS, PROXY_TOKENIZER
from titok.config.study import Study
from titok.config.tokenizer_facts import tokenizer_facts
from titok.config.training import Perceptual, ReconstructionLosses


def check_study(study: Study) -> None:
    """Refuses names that nobody defined and parts that do not fit each other.

    Raises:
        ValueError: says which key, what it has, and what is allowed.
    """
    _check_names(study)
    _check_tokenizer_names(study)
    _check_losses(study)
    _check_protocol(study)
    _check_proxy_codes(study)
    check_lengths(study)
    for name, generator in study.generators.items():
        _check_generator(study, name, generator)
    _check_reporting(study)
    check_foreign_samples(study)
    check_pictures(study)
    _check_soft_rows(study)
    check_probes(study)
    for kind, job_name in job_names(study):
        _check_shapes(study, kind, job_name)
    for name, tokenizer in study.tokenizers.items():
        _check_patches(study, name, tokenizer)
    check_resources(study, list(job_names(study)))


def _check_names(study: Study) -> None:
    known: dict[str, Mapping[str, object]] = {
        "tokenizer": {**study.tokenizers, **study.baselines, **study.soft_tokenizers, **study.external, **study.floors},
        "generator": study.generators,
        "sampler": study.samplers,
        "size": study.sizes,
        "classifier": study.classifiers,
    }
    for kind, name, where in _references(study):
        _require(kind, name, known[kind], where)


def _check_tokenizer_names(study: Study) -> None:
    """Rows and generators name a tokenizer, a baseline and the VQGAN alike; and a baseline's job has its name."""
    sections: dict[str, Mapping[str, object]] = {
        "tokenizers": study.tokenizers,
        "baselines": study.baselines,
        "soft_tokenizers": study.soft_tokenizers,
    }
    for where, names in sections.items():
        if PROXY_TOKENIZER in names:
            raise ValueError(
                f"{where} has {PROXY_TOKENIZER!r}, the name of the study's 2D VQGAN; choose another name, or say "
                f"family: vqgan"
            )
    given = {PROXY_TOKENIZER, *CODECS, *study.tokenizers, *study.baselines, *study.soft_tokenizers}
    for section, own, others in (
        ("external", set(study.external), given),
        ("floors", set(study.floors), given | set(study.external)),
    ):
        for name in sorted(own & others):
            raise ValueError(
                f"{section}.{name}: a name that a tokenizer, a codec or the VQGAN has; choose another name"
            )
    for name in study.baselines:
        if name in study.tokenizers or name == "all":
            taken = "a tokenizer has" if name in study.tokenizers else "means all jobs of a kind"
            raise ValueError(f"baselines.{name}: a name that {taken}; choose another name")
    for name in study.soft_tokenizers:
        if name in study.tokenizers or name in study.baselines:
            raise ValueError(f"soft_tokenizers.{name}: a name that a tokenizer or a baseline has; choose another name")


def _check_losses(study: Study) -> None:
    """What trainings learn from must be there: proxy codes, and the weights of perceptual networks."""
    for name, tokenizer in study.tokenizers.items():
        if tokenizer.needs_vqgan and study.vqgan is None:
            raise ValueError(
                f"tokenizers.{name} has recipe {tokenizer.recipe!r} but the study has no vqgan section; add one"
            )
    for name, soft in study.soft_tokenizers.items():
        if soft.own_encoder == PROXY_TOKENIZER and study.vqgan is None:
            raise ValueError(
                f"soft_tokenizers.{name}.own_encoder is {PROXY_TOKENIZER!r}, but the study has no vqgan section"
            )
    for where, perceptual in _perceptuals(study):
        missing = perceptual.missing_weights
        if missing and perceptual.weight > 0:
            raise ValueError(
                f"{where} has kind {perceptual.kind!r} but no file for "
                f"weights.{', weights.'.join(missing)}; give each a path (`titok fetch --help` says how to get "
                f"them), or choose another kind"
            )


def _check_protocol(study: Study) -> None:
    """What a named protocol fixes outside the section `evaluation`."""
    name = study.evaluation.protocol
    if name is None:
        return
    protocol = PROTOCOLS[name]
    for key, value in protocol.dataset.items():
        if getattr(study.dataset, key) != value:
            raise ValueError(
                f"dataset.{key} is {getattr(study.dataset, key)!r}, but protocol {name!r} fixes it to {value!r}; "
                f"change it, or name another protocol"
            )
    if study.evaluation.resize_rule not in (None, study.dataset.resize_rule):
        raise ValueError(
            f"evaluation.resize_rule is {study.evaluation.resize_rule!r}, but protocol {name!r} fixes how images are "
            f"resized to {study.dataset.resize_rule!r}; remove one of the two"
        )
    needs_file = protocol.samples_against == "reference file"
    if study.generators and needs_file != (study.evaluation.reference is not None):
        raise ValueError(
            f"protocol {name!r} compares samples with {'a' if needs_file else 'the training images, not with a'} "
            f"reference file; {'set' if needs_file else 'remove'} evaluation.reference"
        )


def _check_proxy_codes(study: Study) -> None:
    if study.proxy_codes is not None:
        if study.vqgan is None:
            raise ValueError("proxy_codes are wanted but the study has no vqgan section; add one, or remove them")
        study.proxy_codes.check(study.dataset)


def _check_reporting(study: Study) -> None:
    """Tables and figures may show what the study makes: stages, samplers, pairs and seeds that there are."""
    for stage_of, stage, where in study.reporting.stages():
        untrained = study.untrained_stage(stage_of)
        stages = (untrained,) if untrained else tokenizer_facts(study, stage_of).stages
        _require("stage", stage, stages, where)
    for generator_of, sampler, where in study.reporting.runs():
        _require("sampler", sampler, study.generators[generator_of].samplers, where)
    for shown, generator_of, where in study.reporting.pairs():
        learned = study.generators[generator_of].tokenizer
        if shown != learned:
            raise ValueError(
                f"{where} shows tokenizer {shown!r}, but generator {generator_of!r} learns the tokens of "
                f"{learned!r}; a row is about one tokenizer: name {learned!r}, or use two rows"
            )
    for seed, trained, where in _seeds_shown(study):
        if seed not in trained:
            raise ValueError(f"{where} is {seed}, but nothing is trained with it; allowed: {sorted(trained)}")


def _check_soft_rows(study: Study) -> None:
    """Channels are rounded of tokenizers that have some."""
    shown = study.reporting.figures.hard_and_soft
    for index, row in enumerate(shown.soft if shown else ()):
        name = str(row.tokenizer)
        if study.untrained_stage(name) or tokenizer_facts(study, name).is_discrete:
            raise ValueError(
                f"reporting.figures.hard_and_soft.soft.{index}.tokenizer is {name!r}, which gives the study no soft "
                f"tokens; name one of kind 'vae', or show it among the hard rows"
            )


def _seeds_shown(study: Study) -> Iterator[tuple[int, tuple[int, ...], str]]:
    """(seed, seeds there are, where it is written) of every seed that a figure asks for."""
    for figure in study.reporting.wanted_figures.values():
        seed, where = figure.seed, f"{figure.key}.seed"
        if seed is None:
            continue
        for row, _ in figure.rows():
            if row.generator:
                yield seed, study.generator_seeds(row.generator), where
            elif row.staged_tokenizer:
                yield seed, study.tokenizer_seeds(row.staged_tokenizer), where


def _check_shapes(study: Study, kind: str, name: str) -> None:
    """Building a job checks that its numbers fit each other."""
    try:
        job(study, kind, name)
    except ValidationError as error:
        reasons = "; ".join(str(problem.get("ctx", {}).get("error", problem["msg"])) for problem in error.errors())
        raise ValueError(f"{JOBS[kind].place(name)}: {reasons}") from None


def _check_patches(study: Study, name: str, tokenizer: Tokenizer) -> None:
    """What is trained must give images back in their own size; released models do as they do."""
    if tokenizer.recipe != "two_stage" or study.vqgan is None:
        return
    pixels = study.vqgan.model.downsampling * tokenizer.codes_per_patch
    if tokenizer.patch_size != pixels:
        raise ValueError(
            f"tokenizers.{name}.patch_size is {tokenizer.patch_size}, but {tokenizer.codes_per_patch} x "
            f"{tokenizer.codes_per_patch} proxy codes (codes_per_patch) of the study's VQGAN cover {pixels} pixels "
            f"along a side; they must be equal, so that images come back in their own size"
        )


def _check_generator(study: Study, name: str, generator: Generator) -> None:
    if generator.tokenizer == PROXY_TOKENIZER and study.vqgan is None:
        raise ValueError(
            f"generators.{name}.tokenizer is {PROXY_TOKENIZER!r}, but the study has no vqgan section; add one, or "
            f"name a tokenizer"
        )
    foreign = study.external.get(generator.tokenizer)
    if study.untrained_stage(generator.tokenizer) and not (foreign and foreign.tokens):
        raise ValueError(
            f"generators.{name}.tokenizer is {generator.tokenizer!r}, of which there are reconstructions and no "
            f"tokens; name a tokenizer of the study, or an external row that gives `tokens`"
        )
    tokenizer = tokenizer_facts(study, generator.tokenizer)
    if generator.stage is not None:
        _require("stage", generator.stage, tokenizer.stages, f"generators.{name}.stage")
    if not tokenizer.is_discrete:
        raise ValueError(
            f"generators.{name}.tokenizer is {generator.tokenizer!r}, whose {_softness(study, generator.tokenizer)}; "
            f"MaskGIT needs discrete tokens: name a tokenizer of kind 'vq'"
        )
    missing = set(study.generator_seeds(name)) - set(study.tokenizer_seeds(generator.tokenizer))
    if missing:
        raise ValueError(
            f"generators.{name}.seeds has {sorted(missing)}, which tokenizer {generator.tokenizer!r} is not "
            f"trained with; allowed: {sorted(study.tokenizer_seeds(generator.tokenizer))}"
        )


def _softness(study: Study, tokenizer: str) -> str:
    """Why there are no ids."""
    return "tokens are those of a frozen encoder" if tokenizer in study.soft_tokenizers else "kind is 'vae'"


def _references(study: Study) -> Iterator[tuple[str, str, str]]:
    """(kind, name, where it is written) of every name that must exist."""
    for name, tokenizer in study.tokenizers.items():
        yield "size", tokenizer.encoder, f"tokenizers.{name}.encoder"
        yield "size", tokenizer.decoder, f"tokenizers.{name}.decoder"
    for name, soft in study.soft_tokenizers.items():
        yield "size", soft.decoder, f"soft_tokenizers.{name}.decoder"
        if soft.own_encoder not in (None, PROXY_TOKENIZER):
            yield "classifier", soft.own_encoder, f"soft_tokenizers.{name}.own_encoder"
    for name, generator in study.generators.items():
        if generator.tokenizer != PROXY_TOKENIZER:
            yield "tokenizer", generator.tokenizer, f"generators.{name}.tokenizer"
        for sampler in generator.samplers:
            yield "sampler", sampler, f"generators.{name}.samplers"
    for where, perceptual in _perceptuals(study):
        if perceptual.classifier is not None:
            yield "classifier", perceptual.classifier, f"{where}.classifier"
    if study.evaluation.extractor.classifier is not None:
        yield "classifier", study.evaluation.extractor.classifier, "evaluation.extractor.classifier"
    yield from study.reporting.references()


def _perceptuals(study: Study) -> Iterator[tuple[str, Perceptual]]:
    """(where it is written, settings) of every perceptual loss."""
    losses: list[tuple[str, ReconstructionLosses]] = []
    if study.vqgan and study.vqgan.training:
        losses.append(("vqgan", study.vqgan.losses))
    losses += [(f"baselines.{name}", baseline.losses) for name, baseline in study.baselines.items()]
    losses += [(f"soft_tokenizers.{name}", soft.losses) for name, soft in study.soft_tokenizers.items()]
    for name, tokenizer in study.tokenizers.items():
        if tokenizer.stage2:
            losses.append((f"tokenizers.{name}.stage2", tokenizer.stage2.losses))
        if tokenizer.single_stage:
            losses.append((f"tokenizers.{name}.single_stage", tokenizer.single_stage.losses))
    yield from ((f"{where}.losses.perceptual", each.perceptual) for where, each in losses)
    for name, tokenizer in study.tokenizers.items():
        if tokenizer.own is not None:
            told = tokenizer.own.perceptuals()
            yield from ((f"tokenizers.{name}.{tokenizer.recipe}.{where}", perceptual) for where, perceptual in told)


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
