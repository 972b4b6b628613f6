"""Which tokenizers of a study are probed, and that each has what `probe.readings` reads."""

from __future__ import annotations

from titok.config.probe import ReadFrom, Reading
from titok.config.reporting import TableName
from titok.config.study import Study
from titok.config.tokenizer_facts import tokenizer_facts

TABLES: tuple[TableName, ...] = ("table4", "adaptive_length", "token_kinds")
"""Those that may show probes."""


def probed_tokenizers(study: Study) -> dict[str, str]:
    """Tokenizer -> the first table or figure that shows its probe, by where that is written."""
    reporting, figure = study.reporting, study.reporting.figures.hard_and_soft
    shown = [(stem, f"reporting.tables.{name}") for name in TABLES for stem in reporting.tables.scores(name)]
    shown += [(stem, "reporting.figures.hard_and_soft") for stem in (figure.scores if figure else ())]
    found: dict[str, str] = {}
    for stem, where in shown:
        kind, _, name = stem.partition("/")
        if kind == "probe":
            found.setdefault(name, where)
    return found


def check_probes(study: Study) -> None:
    """Refuses probes of what is not there to be read, as far as settings say it; the rest is the probe's own to say.

    Raises:
        ValueError: a row without a model is probed, or a tokenizer has not what a reading reads.
    """
    for name, where in probed_tokenizers(study).items():
        if stage := study.untrained_stage(name):
            raise ValueError(
                f"{where} probes {name!r}, which is of stage {stage!r}: no encoder of it is here, and nothing that a "
                f"probe could read; take the row out of those that are probed"
            )
        for reading in study.probe.readings:
            _check_reading(study, reading, name, where)


def what_can_be_read(study: Study, name: str) -> tuple[ReadFrom, ...]:
    """Of a tokenizer of the study, as far as its settings say: a recipe of its own may have less."""
    if study.two_dimensional(name):
        return ("bottleneck",)
    return ("bottleneck", "width", "codes") if tokenizer_facts(study, name).is_discrete else ("bottleneck", "width")


def _check_reading(study: Study, reading: Reading, name: str, where: str) -> None:
    allowed = what_can_be_read(study, name)
    if reading.of not in allowed:
        raise ValueError(
            f"probe.readings has of: {reading.of}, which tokenizer {name!r}, probed by {where}, has not; allowed for "
            f"it: {', '.join(allowed)}; remove the reading, or take the tokenizer out of those that are probed"
        )
