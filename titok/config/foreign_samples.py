"""Samples whose decoder is another program's: only what that program made of our ids is shown, and in tables alone."""

from __future__ import annotations

from titok.config.entries import Generator
from titok.config.study import Study


def check_foreign_samples(study: Study) -> None:
    """Ids of another program become images by its own decoder alone: rows show those that a study names.

    Raises:
        ValueError: says which key, what it has, and what is allowed.
    """
    for name, generator in study.generators.items():
        _check_generator(study, name, generator)
    for shown, sampler, where in study.reporting.runs():
        if study.is_foreign(shown):
            _check_row(study, shown, sampler, where)


def _check_generator(study: Study, name: str, generator: Generator) -> None:
    if not study.is_foreign(name):
        if generator.decoded:
            raise ValueError(
                f"generators.{name}.decoded has images of {', '.join(generator.decoded)}, but the decoder of "
                f"{generator.tokenizer!r} is here and makes them; remove it"
            )
        return
    if generator.source is not None:
        raise ValueError(
            f"generators.{name}.source: released weights belong to released tokenizers, not to the ids of "
            f"external.{generator.tokenizer}; give training"
        )
    unknown = [sampler for sampler in generator.decoded if sampler not in generator.samplers]
    if unknown:
        raise ValueError(
            f"generators.{name}.decoded names the samplers {', '.join(unknown)}; allowed: those of its `samplers`, "
            f"{', '.join(generator.samplers)}"
        )


def _check_row(study: Study, generator: str, sampler: str, where: str) -> None:
    entry = study.generators[generator]
    because = f"generators.{generator} learns the ids of external.{entry.tokenizer}, whose decoder is not here"
    if sampler not in entry.decoded:
        raise ValueError(
            f"{where}: {because}; take the row out, or let that decoder make images of "
            f"results/{study.study}/ids/{generator}/{sampler}/seed{study.generator_seeds(generator)[0]}.npz and name "
            f"their file in generators.{generator}.decoded.{sampler}"
        )
    if not where.startswith("reporting.tables.") or where.startswith("reporting.tables.table4"):
        raise ValueError(
            f"{where}: {because}, so that neither speed nor pictures of its samples are known; show it in a listed "
            f"table, such as table1"
        )
