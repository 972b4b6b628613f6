"""Table 'adaptive_length': every length of tokenizers that have several, and what a length for each image gains."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from titok.records.metric import Metric
from titok.reporting.cells import EMPTY, Block, Cell, Table, heading, our_cell
from titok.reporting.collect import Scores
from titok.reporting.judgement import Judgement, shown
from titok.reporting.lengths import PROBE, Place, RowLengths, judged_change, judged_gain, lengths_of_rows, said
from titok.reporting.table_notes import seeds_note

if TYPE_CHECKING:
    from titok.config.rows import LengthTable

TITLE = "Adaptive length: one length for all images, and a length for each"
SAME = ("bits_per_image", "rfid", "psnr", "ssim", "lpips", PROBE, "codebook_usage", "codebook_perplexity")
CHOSEN = ("mean_length", "bits_per_image", "met", "rfid", "psnr", "lpips")
GAINS = ("gain", "met_gain", "gain_over_fixed")
NEEDED = ("needed_length", "second_needed_length", "met", "second_met")
GAP = "familiarity_gap"
RANKS = ("rank_with_jpeg_size", "rank_with_complexity")
WORDS = {**dict.fromkeys(GAINS, ("better", "worse")), GAP: ("more", "fewer")}
"""Differences that are judged: what they are called above 0 and below."""
CHANGES = ("rises", "falls")
NOTE = (
    "Gains compare a length for each image with one length for all of equal mean (between two lengths: a mixture), by "
    "image; over one length: of the same tokenizer; over tokenizers of one length: trained for it alone. Better and "
    "worse, rises and falls: the whole 95 % interval, over seeds, lies on that side of 0."
)


def build_length_table(wanted: LengthTable, scores: Scores) -> Table:
    """Blocks: all images of one length, what a longer one changes, each image of its own, and what that gains.

    Raises:
        MissingScore: a row has no scores of lengths.
        NotComparableError: rows were measured in two ways.
    """
    rows = lengths_of_rows(wanted, scores)
    same = [(one, place) for one in rows for place in one.places(chosen=False)]
    chosen = [(one, place) for one in rows for place in one.places(chosen=True)]
    blocks = [
        _block("All images have K tokens", "K", same, [rows[0].measure, *SAME] if rows else SAME, scores),
        _longer(rows, scores),
        _block("Each image has the fewest tokens that are good enough", "if", chosen, _with_measure(rows), scores),
        _histograms(chosen, scores),
        _judged("What that gains", chosen, (*GAINS, *RANKS), scores),
        *_familiarity(same, chosen, scores),
    ]
    notes = [NOTE, *seeds_note((one.row.label, scores.statistic(one.records, f"rfid@{at.tag}")) for one, at in same)]
    data = pd.DataFrame([*_data([*same, *chosen], scores), *_data_of_changes(rows, scores)])
    return Table("adaptive_length", wanted.title or TITLE, [block for block in blocks if block.rows], data, notes)


def _with_measure(rows: Sequence[RowLengths]) -> list[str]:
    measure = [rows[0].measure] if rows else []
    return [*CHOSEN[:3], *measure, *(name for name in CHOSEN[3:] if name not in measure)]


def _block(
    title: str, where: str, lines: Sequence[tuple[RowLengths, Place]], metrics: Sequence[str], scores: Scores
) -> Block:
    """Rows of places, columns of those metrics that one of them has."""
    metrics = list(dict.fromkeys(metrics))
    cells = {
        metric: [our_cell(metric, scores.statistic(one.records, f"{metric}@{place.tag}")) for one, place in lines]
        for metric in metrics
    }
    kept = [metric for metric in metrics if any(cell is not EMPTY for cell in cells[metric])]
    heads = ["", where, *(heading(metric, _label(metric, lines, scores)) for metric in kept)]
    rows = [
        [Cell(one.row.label), Cell(place.tag), *(cells[metric][index] for metric in kept)]
        for index, (one, place) in enumerate(lines)
    ]
    return Block(title, heads, rows)


def _changes(rows: Sequence[RowLengths], scores: Scores) -> Iterator[tuple[RowLengths, str, Judgement]]:
    """(whose, `2 to 4`, change of the criterion) from each length to the next, and from the shortest to the longest."""
    for one in rows:
        places = one.places(chosen=False)
        steps = list(itertools.pairwise(places))
        for before, after in [*steps, *([(places[0], places[-1])] if len(steps) > 1 else [])]:
            found = judged_change(scores, one.records, one.measure, before, after)
            if found is not None:
                yield one, f"{before.tag} to {after.tag}", found


def _longer(rows: Sequence[RowLengths], scores: Scores) -> Block:
    """What a longer code changes, seed by seed; nothing of tokenizers of one length."""
    lines = [
        [Cell(one.row.label), Cell(where), Cell(f"{shown(found)}: {said(found, CHANGES)}".removeprefix(": "))]
        for one, where, found in _changes(rows, scores)
    ]
    same = [(one, place) for one in rows for place in one.places(chosen=False)]
    head = heading(rows[0].measure, _label(rows[0].measure, same, scores)).rstrip(" ↓↑") if rows else ""
    return Block("What a longer code changes", ["", "K", f"change of {head}"], lines)


def _data_of_changes(rows: Sequence[RowLengths], scores: Scores) -> Iterator[dict[str, Any]]:
    """The lines behind that block."""
    for one, where, found in _changes(rows, scores):
        whose = {"label": one.row.label, "tokenizer": one.row.tokenizer, "stage": one.row.stage, "at": where}
        judged = {"n": one.records["seed"].nunique(), "low": found.low, "high": found.high}
        yield {
            **whose,
            "metric": f"{one.measure}_change",
            "mean": found.value,
            **judged,
            "verdict": said(found, CHANGES),
        }


def _label(metric: str, lines: Sequence[tuple[RowLengths, Place]], scores: Scores) -> Metric | None:
    """The records' name of a metric without the place that it was measured at."""
    for _, place in lines:
        label = scores.labels.get(f"{metric}@{place.tag}")
        if label is not None:
            return replace(label, label=label.label.rpartition(", ")[0])
    return None


def _histograms(lines: Sequence[tuple[RowLengths, Place]], scores: Scores) -> Block:
    lengths = sorted({int(str(at.tag)) for one, _ in lines for at in one.places(chosen=False)})
    rows = []
    for one, place in lines:
        shares = [scores.statistic(one.records, f"share_of_{length}@{place.tag}") for length in lengths]
        rows.append(
            [Cell(one.row.label), Cell(place.tag), *(_share(found.mean if found else None) for found in shares)]
        )
    return Block("Images of K tokens, %", ["", "if", *(f"K = {length}" for length in lengths)], rows)


def _share(value: float | None) -> Cell:
    return EMPTY if value is None else Cell(f"{100 * value:.1f}")


def _familiarity(
    same: Sequence[tuple[RowLengths, Place]], chosen: Sequence[tuple[RowLengths, Place]], scores: Scores
) -> list[Block]:
    """Two blocks on images of another kind, where the study has some: at every length, and what they need."""
    labels = {scores.protocols[str(one.records["protocol_id"].iloc[0])].get("second.label") for one, _ in same}
    named = ", ".join(sorted(label for label in labels if label))
    if not named:
        return []
    measures = [f"second_{same[0][0].measure}", "second_rfid"]
    return [
        _block(f"Second images ({named}): all have K tokens", "K", same, measures, scores),
        _judged(f"Second images ({named}): what they need", chosen, (*NEEDED, GAP), scores),
    ]


def _judged(title: str, lines: Sequence[tuple[RowLengths, Place]], metrics: Sequence[str], scores: Scores) -> Block:
    """Rows of places, columns of those metrics that one of them has; differences are judged."""
    heads, columns = ["", "if"], []
    for metric in metrics:
        label = _label(metric, lines, scores)
        if label is None:
            continue
        heads.append(heading(metric, label).rstrip(" ↓↑"))
        columns.append([_cell(scores, one, metric, at.tag) for one, at in lines])
    rows = [
        [Cell(one.row.label), Cell(place.tag), *(column[index] for column in columns)]
        for index, (one, place) in enumerate(lines)
    ]
    return Block(title, heads, rows)


def _cell(scores: Scores, one: RowLengths, metric: str, tag: str) -> Cell:
    key = f"{metric}@{tag}"
    if metric not in WORDS:
        return our_cell(metric, scores.statistic(one.records, key))
    judged = judged_gain(scores, one.records, key)
    return EMPTY if judged is None else Cell(f"{shown(judged)}: {said(judged, WORDS[metric])}".removeprefix(": "))


def _data(lines: Sequence[tuple[RowLengths, Place]], scores: Scores) -> Iterator[dict[str, Any]]:
    """A line per number: whose, where, and its mean and spread over seeds; of gains the judgement, too."""
    for one, place in lines:
        ending = f"@{place.tag}"
        for name in one.records.columns:
            found = scores.statistic(one.records, name) if name.endswith(ending) else None
            if found is None:
                continue
            metric = name.removesuffix(ending)
            line: dict[str, Any] = {
                "label": one.row.label,
                "tokenizer": one.row.tokenizer,
                "stage": one.row.stage,
                "at": place.tag,
            }
            line |= {"metric": metric, "mean": found.mean, "std": found.std, "min": found.minimum}
            line |= {"max": found.maximum, "n": found.n}
            judged = judged_gain(scores, one.records, name) if metric in WORDS else None
            if judged is not None:
                line |= {"low": judged.low, "high": judged.high, "verdict": said(judged, WORDS[metric])}
            yield line
