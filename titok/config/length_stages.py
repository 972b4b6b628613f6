"""Whose lengths a study scores."""

from __future__ import annotations

from titok.config.adaptive_length import AdaptiveLength
from titok.config.study import Study


def length_stages(study: Study) -> list[tuple[str, str]]:
    """(tokenizer, stage) of every one that has lengths, and of those of one length that stand beside them."""
    if study.adaptive_length is None:
        return []
    several = [(name, stage) for name, entry in study.tokenizers.items() if entry.lengths for stage in entry.stages]
    return [*several, *study.adaptive_length.beside.items()]


def length_seeds(study: Study, tokenizer: str) -> tuple[int, ...]:
    """Seeds whose lengths are scored: all; of a tokenizer that stands beside others, those that one of these has."""
    own = study.tokenizer_seeds(tokenizer)
    if study.adaptive_length is None or tokenizer not in study.adaptive_length.beside:
        return own
    others = {s for name, entry in study.tokenizers.items() if entry.lengths for s in study.tokenizer_seeds(name)}
    return tuple(seed for seed in own if seed in others)


def scored_lengths(study: Study, tokenizer: str) -> tuple[int, ...]:
    """Which lengths of a tokenizer are scored, from few tokens to many."""
    entry = study.tokenizers[tokenizer]
    chosen = study.adaptive_length.lengths if study.adaptive_length and entry.is_nested else ()
    return (entry.lengths and chosen) or entry.lengths or (entry.num_latent_tokens,)


def check_lengths(study: Study) -> None:
    """Raises ValueError where the section `adaptive_length` has nobody to choose lengths for, or names who has none; or
    where lengths are shown that nobody scores."""
    section = study.adaptive_length
    if section is not None:
        _check_section(study, section)
    _check_shown(study)


def _check_section(study: Study, section: AdaptiveLength) -> None:
    if not any(entry.lengths for entry in study.tokenizers.values()):
        raise ValueError(
            "adaptive_length is given, but no tokenizer has lengths to choose from; add one (docs/adaptive_length.md), "
            "such as one with tail_drop, or remove the section"
        )
    for name, stage in section.beside.items():
        if name not in study.tokenizers:
            raise ValueError(
                f"adaptive_length.beside names {name!r}, which is no tokenizer; allowed: {', '.join(study.tokenizers)}"
            )
        entry = study.tokenizers[name]
        if entry.lengths or entry.kind == "vae":
            has = "several lengths" if entry.lengths else "no tokens"
            raise ValueError(f"adaptive_length.beside names {name!r}, which has {has}; name tokenizers of one length")
        if stage not in entry.stages:
            raise ValueError(
                f"adaptive_length.beside.{name} is {stage!r}; allowed: {', '.join(entry.stages)}, the stages it has"
            )
    _check_matched(study, section)
    if section.criterion == "lpips" and study.evaluation.lpips is None:
        raise ValueError("adaptive_length.criterion is 'lpips', but evaluation.lpips names no weights; add it")
    if section.criterion == "class" and study.evaluation.extractor.kind != "classifier":
        raise ValueError("adaptive_length.criterion is 'class', but the scores have no judge; choose l1, psnr or lpips")


def _check_matched(study: Study, section: AdaptiveLength) -> None:
    """Each length of `as_good_as` is that of a tokenizer beside, which has all seeds that choose."""
    seeds = {s for name, entry in study.tokenizers.items() if entry.lengths for s in study.tokenizer_seeds(name)}
    for length in section.as_good_as:
        named = [name for name in section.beside if study.tokenizers[name].num_latent_tokens == length]
        if len(named) != 1:
            raise ValueError(
                f"adaptive_length.as_good_as names {length}, the length of {len(named)} tokenizers in beside; it must "
                f"be that of one"
            )
        if missing := sorted(seeds - set(study.tokenizer_seeds(named[0]))):
            raise ValueError(
                f"adaptive_length.as_good_as names {length}, the length of {named[0]!r}, which has no seed "
                f"{missing[0]}; tokenizers of several lengths have it: train it with the same"
            )


def _check_shown(study: Study) -> None:
    """Tables and figures of lengths show what is scored."""
    reporting, scored = study.reporting, length_stages(study)
    rows = [
        (row, f"tables.adaptive_length.rows.{at}") for at, row in enumerate(reporting.tables.rows("adaptive_length"))
    ]
    pictures = {name: getattr(reporting.figures, name) for name in ("images_by_length", "token_attention")}
    shown = {name: told for name, told in pictures.items() if told is not None}
    rows += [(told.row, f"figures.{name}.row") for name, told in shown.items()]
    for row, where in rows:
        if (row.tokenizer, row.stage) not in scored:
            known = ", ".join(f"{name}/{stage}" for name, stage in scored) or "none, for adaptive_length is missing"
            raise ValueError(
                f"reporting.{where} shows lengths of {row.tokenizer}/{row.stage}, which nobody scores; scored: {known}"
            )
    for name, wanted in shown.items():
        if wanted.seed not in length_seeds(study, wanted.row.tokenizer):
            raise ValueError(
                f"reporting.figures.{name}.seed is {wanted.seed}, but nothing is trained with it; allowed: "
                f"{list(length_seeds(study, wanted.row.tokenizer))}"
            )
