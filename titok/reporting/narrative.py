"""What the report says in words: the headline, captions, and what the numbers mean. Every number comes from scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from titok.reporting.cells import count, number
from titok.reporting.collect import Scores
from titok.reporting.copies import copies_said
from titok.reporting.grid import curve, grid_frame, size_name
from titok.reporting.judgement import Judgement
from titok.reporting.speeds import speed_note
from titok.reporting.trends import GridTrends

if TYPE_CHECKING:
    from titok.config.reporting import Reporting
    from titok.config.rows import Grid


RELEASED = "released"
"""The task in the manifest of a model that was not trained here."""


@dataclass(frozen=True)
class BestSamples:
    """Whose samples are read best, and how many of them are read as the class asked for."""

    generator: str
    sampler: str
    class_agreement: float


def best_samples(scores: Scores, runs: Iterable[tuple[str, str]]) -> BestSamples | None:
    """Of these generators and samplers, whose samples are read as asked most often, seeds averaged; None without such
    scores."""
    frame = scores.frame[scores.frame["kind"] == "generation"] if len(scores.frame) else scores.frame
    if frame.empty or "class_agreement" not in frame:
        return None
    scores.require_one_protocol(frame, "class_agreement")
    means = frame.groupby(["generator", "sampler"])["class_agreement"].mean().dropna().to_dict()
    known = [run for run in dict.fromkeys(runs) if run in means]
    best = max(known, key=lambda run: means[run], default=None)
    return BestSamples(*best, float(means[best])) if best else None


def headline(reporting: Reporting, scores: Scores) -> list[str]:
    """One to three sentences that state the main findings with their numbers."""
    sentences = []
    grid = reporting.tables.table4
    if grid is not None and len(grid.tokens) > 1:
        frame = grid_frame(grid, scores)
        sentences += [_trend(grid, frame, scores), *_readable(grid, frame)]
    return [*sentences, *_samples(reporting, scores)]


def _trend(grid: Grid, frame: pd.DataFrame, scores: Scores) -> str:
    ends = {size: curve(frame, "rfid", size)["mean"].iloc[[0, -1]].tolist() for size in grid.sizes}
    moves = "; ".join(f"{size_name(s)} {number('rfid', a)} → {number('rfid', b)}" for s, (a, b) in ends.items())
    said = _falls(GridTrends(grid, scores).falls_with_tokens("rfid"), scores.name("rfid"))
    return f"From {grid.tokens[0]} to {grid.tokens[-1]} tokens per image, {said}: {moves}."


def _falls(found: Judgement, name: str) -> str:
    """The judgement of the trends' list and of the claim, in the headline's words."""
    if found.word == "agrees":
        return f"{name} falls for every size"
    if found.word == "differs":
        return f"{name} does not fall for every size ({found.because})"
    return f"it is undecided whether {name} falls for every size ({found.because})"


def _readable(grid: Grid, frame: pd.DataFrame) -> Iterator[str]:
    at_end = frame[(frame["metric"] == "classifier_accuracy") & (frame["k"] == grid.tokens[-1])]
    if len(at_end):
        best = at_end.sort_values("mean").iloc[-1]
        name, share = size_name(str(best["size"])), number("classifier_accuracy", float(best["mean"]))
        yield (
            f"At {grid.tokens[-1]} tokens, a held-out classifier reads {share} % of {name}'s test reconstructions as "
            f"their label."
        )


def _samples(reporting: Reporting, scores: Scores) -> Iterator[str]:
    """Of the samples that the page shows; without such, of the row that the very number said here is best of."""
    shown = reporting.figures.samples
    if shown is not None:
        runs, which = [(shown.generator, shown.sampler)], "shown here"
    else:
        runs, which = [(generator, sampler) for generator, sampler, _ in reporting.runs()], "read best"
    best = best_samples(scores, runs)
    if best is not None:
        share = number("class_agreement", best.class_agreement)
        yield (
            f"Of the samples {which} ({best.generator}, sampler {best.sampler}), {share} % are read as the class "
            f"asked for."
        )


def facts(scores: Scores, manifests: pd.DataFrame) -> list[tuple[str, str]]:
    """What ran: models, steps, time, images, machine, versions, commit."""
    found: list[tuple[str, str]] = []
    if len(manifests):
        released = int((manifests["task"] == RELEASED).sum())
        counts = (("Models trained", len(manifests) - released), ("Released models", released))
        found += [(title, str(number)) for title, number in counts if number]
        for title, column, unit in (("Optimiser steps", "steps", count), ("Training time", "wall_seconds", duration)):
            if column in manifests:
                found.append((title, unit(float(manifests[column].sum()))))
    found.append(("Scores", f"{len(scores.frame)} records"))
    if scores.copies:
        found.append(("Copies", copies_said(scores.copies)))
    found += [(title, value) for title, value in _measured(scores) if value]
    return found


def _measured(scores: Scores) -> Iterator[tuple[str, str]]:
    sources = list(scores.provenance.values())
    sizes = {str(protocol["num_images"]) for protocol in scores.protocols.values() if "num_images" in protocol}
    yield "Images per score", ", ".join(sorted(sizes, key=int))
    yield "Machine", _one_or_more([_machine(source.get("machine") or {}) for source in sources])
    yield "Device", _one_or_more([str((source.get("device") or {}).get("type") or "") for source in sources])
    yield "PyTorch", _one_or_more([str((source.get("packages") or {}).get("torch") or "") for source in sources])
    yield "Commit", _one_or_more([_commit(source.get("code") or {}) for source in sources])


def _machine(machine: dict[str, object]) -> str:
    name, cpus = machine.get("cpu") or machine.get("architecture"), machine.get("cpus")
    return f"{name}, {cpus} CPUs" if name and cpus else str(name or "")


def _commit(code: dict[str, object]) -> str:
    commit = code.get("commit")
    return f"{str(commit)[:10]}{' with changes' if code.get('modified') else ''}" if commit else ""


def _one_or_more(values: Sequence[str]) -> str:
    """The value most records have, and how many others there are."""
    known = pd.Series([value for value in values if value], dtype=str).value_counts()
    if known.empty:
        return ""
    others = len(known) - 1
    return f"{known.index[0]}{f' (and {others} other)' if others else ''}"


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 7.2 min, 3.1 h."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def protocol_notes(scores: Scores, own_notes: Sequence[str]) -> list[str]:
    """What the scores are and are not, in plain words; which of it applies is read from the records' labels."""
    name = scores.name("rfid")
    notes = [
        "rFID compares reconstructions with the images they were made from, gFID compares generated images with real "
        "ones. Both are the Fréchet distance between two clouds of features, each described by its mean and "
        "covariance. Lower is better, and 0 means that this measure cannot tell the two clouds apart."
    ]
    if "-" in name:
        study = name.rpartition("-")[0]
        notes.append(
            f"Here the features come from a small classifier trained within this study, so the numbers are called "
            f"{study}-rFID, {study}-gFID and {study}-IS. They rank the models of this page against each other. They "
            f"are no ImageNet FIDs, have another scale, and must not be compared with any paper's FIDs. The classifier "
            f"is a judge that no loss has seen."
        )
    notes.append(
        "± is the sample standard deviation over seeds; where it is missing, there is one seed. Scores that were "
        f"measured in two ways are never put into one column. {speed_note(scores.frame)}"
    )
    return [*notes, *own_notes]
