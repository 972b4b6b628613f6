"""Properties that honestly trained models of a study must show, judged from its scores and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from titok.reporting.collect import Scores, best_generator, read_scores, statistic
from titok.reporting.grid import curve, grid_frame, rank_correlation, size_name
from titok.runtime.files import write_json, write_text

if TYPE_CHECKING:
    from titok.config.reporting import Checks, Reporting
    from titok.config.rows import Grid

SHOWN_FAULTS = 5
"""A check that lists faults names this many and counts the rest."""


@dataclass(frozen=True)
class Check:
    """One property.

    Attributes:
        name: `group/what`, e.g. `rfid_falls_with_k/s`.
        value: what was measured; None where the property is no single number or it is not finite.
        threshold: what it is held against, in words: `<= -0.8`.
        explanation: what the property means, and what was found.
        files: the score records it was judged from.
    """

    name: str
    passed: bool
    value: float | None
    threshold: str
    explanation: str
    files: Sequence[str]


class ChecksFailed(Exception):
    """At least one property does not hold; the message names each, with its value."""


def run_checks(scores: Scores, reporting: Reporting) -> list[Check]:
    """Every property of a study's scores.

    All studies: scores are finite, codebooks are in use, decoder fine-tuning lowers rFID. With `checks.enabled` also
    the scaling trend over the grid of Table 4, and how well the held-out classifier reads reconstructions and samples.

    Raises:
        MissingScore: a place of the grid has no score.
    """
    checks = reporting.checks
    found = [_finite(scores), *_codebooks_in_use(scores, checks), *_finetuning_helps(scores)]
    if checks.enabled:
        grid = reporting.tables.table4
        if grid is not None:
            found += _grid_checks(grid, scores, checks)
            found += _variants_readable(reporting, scores)
        found += _samples_are_read(scores, checks)
    return found


def make_checks(reporting: Reporting, score_files: Iterable[str | Path], output: str | Path) -> list[Check]:
    """Judges score files; writes ``checks.json`` (`output`) and the same as Markdown beside it; returns the checks.

    It does not raise when a check fails, so that the report can show it; see :func:`require_passed`.
    """
    checks = run_checks(read_scores(score_files), reporting)
    write_json(output, [asdict(check) for check in checks])
    write_text(Path(output).with_suffix(".md"), markdown(checks))
    return checks


def require_passed(checks: Iterable[Check]) -> None:
    """Raises:
    ChecksFailed: names every property that does not hold, what was measured, and the threshold.
    """
    failed = [check for check in checks if not check.passed]
    if failed:
        lines = "\n".join(
            f"  - {check.name}: {_value(check)} (needs {check.threshold}); {check.explanation}" for check in failed
        )
        raise ChecksFailed(f"{len(failed)} check(s) failed:\n{lines}")


def markdown(checks: Sequence[Check]) -> str:
    """A list of all checks, failed ones first."""
    passed = sum(check.passed for check in checks)
    head = ["| | check | value | needs | meaning |", "| --- | --- | ---: | --- | --- |"]
    rows = []
    for check in sorted(checks, key=lambda check: check.passed):
        cells = ["pass" if check.passed else "**FAIL**", check.name, _value(check), check.threshold, check.explanation]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([f"{passed} of {len(checks)} checks passed.", "", *head, *rows, ""])


def _value(check: Check) -> str:
    return "-" if check.value is None else f"{check.value:.4g}"


def _finite(scores: Scores) -> Check:
    faults = [f"{fault.metric} is {fault.value} in {fault.file}" for fault in scores.non_finite]
    listed = "; ".join(faults[:SHOWN_FAULTS]) + (
        f" and {len(faults) - SHOWN_FAULTS} more" * (len(faults) > SHOWN_FAULTS)
    )
    said = f"Every metric of every score must be a finite number. {listed or f'{len(scores.frame)} records are'}."
    files = sorted({fault.file for fault in scores.non_finite})
    return Check("scores_finite", not faults, float(len(faults)), "= 0 faults", said, files)


def _reconstructions(scores: Scores) -> pd.DataFrame:
    frame = scores.frame
    return frame[frame["kind"] == "reconstruction"] if len(frame) else frame


def _codebooks_in_use(scores: Scores, checks: Checks) -> Iterator[Check]:
    """One check for all tokenizers: its value is the smallest use, of the worst one."""
    records = _reconstructions(scores)
    if "codebook_usage" not in records or records["codebook_usage"].isna().all():
        return
    used = records.dropna(subset="codebook_usage").sort_values("codebook_usage")
    worst = used.iloc[0]
    low = used[used["codebook_usage"] < checks.min_codebook_usage]
    said = (
        f"Every tokenizer must use a share of its codebook on the test images; a collapsed one uses a few codes. The "
        f"least used is that of {worst['tokenizer']} ({worst['stage']}, seed {worst['seed']}); {len(low)} of "
        f"{len(used)} lie below."
    )
    value = float(worst["codebook_usage"])
    threshold = f">= {checks.min_codebook_usage:g}"
    yield Check("codebook_in_use", low.empty, value, threshold, said, list((low if len(low) else used.head(1))["file"]))


def _finetuning_helps(scores: Scores) -> Iterator[Check]:
    """A check per tokenizer that has both stages."""
    records = _reconstructions(scores)
    if "stage" not in records:
        return
    for tokenizer, own in records.groupby("tokenizer", sort=True):
        before, after = own[own["stage"] == "stage1"], own[own["stage"] == "stage2"]
        if before.empty or after.empty:
            continue
        name = f"finetuning_lowers_rfid/{tokenizer}"
        scores.require_one_protocol(own, name)
        # Only seeds that have both stages, so that the comparison is of the same encoders.
        both = set(before["seed"]) & set(after["seed"])
        first, second = (part[part["seed"].isin(both)] for part in (before, after))
        old, new = statistic(first["rfid"]), statistic(second["rfid"])
        if old is None or new is None:
            continue
        said = f"Decoder fine-tuning must lower rFID: {old.mean:.3f} before, {new.mean:.3f} after ({old.n} seed(s))."
        files = [*first["file"], *second["file"]]
        yield Check(name, new.mean < old.mean, new.mean - old.mean, "< 0", said, files)


def _grid_checks(grid: Grid, scores: Scores, checks: Checks) -> Iterator[Check]:
    frame = grid_frame(grid, scores)
    for size in grid.sizes:
        yield _falls_with_k(grid, frame, size, scores, checks)
    for smaller, larger in zip(grid.sizes, grid.sizes[1:], strict=False):
        yield _larger_is_better(grid, frame, smaller, larger, scores, checks)
    for size in grid.sizes:
        yield _readable_at_largest_k(grid, frame, size, scores, checks)


def _grid_files(grid: Grid, scores: Scores, sizes: Sequence[str], tokens: Sequence[int]) -> list[str]:
    wanted = [cell.row.tokenizer for cell in grid.cells() if cell.size in sizes and cell.k in tokens]
    records = _reconstructions(scores)
    return list(records.loc[records["tokenizer"].isin(wanted) & (records["stage"] == grid.stage), "file"])


def _falls_with_k(grid: Grid, frame: pd.DataFrame, size: str, scores: Scores, checks: Checks) -> Check:
    values = curve(frame, "rfid", size)
    found = rank_correlation(values)
    listed = ", ".join(f"K={k}: {mean:.2f}" for k, mean in zip(values["k"], values["mean"], strict=True))
    said = f"Spearman correlation of K and {size_name(size)}'s rFID (means over seeds): {listed}."
    passed = found <= checks.max_spearman
    files = _grid_files(grid, scores, [size], grid.tokens)
    return Check(f"rfid_falls_with_k/{size}", passed, _or_none(found), f"<= {checks.max_spearman:g}", said, files)


def _larger_is_better(
    grid: Grid, frame: pd.DataFrame, smaller: str, larger: str, scores: Scores, checks: Checks
) -> Check:
    few = [k for k in grid.tokens if k <= checks.small_tokens]
    means = {}
    for size in (smaller, larger):
        values = curve(frame, "rfid", size)
        means[size] = float(values.loc[values["k"].isin(few), "mean"].mean(skipna=False))
    difference = means[larger] - means[smaller]
    said = (
        f"Over few tokens (K = {', '.join(map(str, few))}) and seeds, the larger tokenizer must have the lower mean "
        f"rFID: {size_name(smaller)} {means[smaller]:.3f}, {size_name(larger)} {means[larger]:.3f}."
    )
    files = _grid_files(grid, scores, [smaller, larger], few)
    return Check(f"larger_is_better/{smaller}-{larger}", difference < 0, _or_none(difference), "< 0", said, files)


def _readable_at_largest_k(grid: Grid, frame: pd.DataFrame, size: str, scores: Scores, checks: Checks) -> Check:
    k = grid.tokens[-1]
    values = curve(frame, "classifier_accuracy", size)
    at_k = values.loc[values["k"] == k, "mean"]
    found = float(at_k.iloc[0]) if len(at_k) else float("nan")
    return _readable(size, f"{size_name(size)} at K = {k}", found, _grid_files(grid, scores, [size], [k]), checks)


def _variants_readable(reporting: Reporting, scores: Scores) -> Iterator[Check]:
    """The final tokenizers of Table 1 that have the grid's largest K, after decoder fine-tuning."""
    grid, table = reporting.tables.table4, reporting.tables.table1
    largest = {cell.row.tokenizer for cell in grid.cells() if cell.k == grid.tokens[-1]} if grid else set()
    for row in table.rows if table else ():
        if row.tokenizer in largest and row.stage == "stage2":
            own = scores.select("reconstruction", tokenizer=row.tokenizer, stage=row.stage)
            found = float(own["classifier_accuracy"].mean(skipna=False))
            yield _readable(f"{row.tokenizer}-final", row.label, found, list(own["file"]), reporting.checks)


def _readable(name: str, shown: str, found: float, files: list[str], checks: Checks) -> Check:
    said = f"Test reconstructions of {shown} that the held-out classifier reads as their label (mean over seeds)."
    passed = found >= checks.min_classifier_accuracy
    threshold = f">= {checks.min_classifier_accuracy:g}"
    return Check(f"readable_at_largest_k/{name}", passed, _or_none(found), threshold, said, files)


def _samples_are_read(scores: Scores, checks: Checks) -> Iterator[Check]:
    """The best generator is chosen by the metric the study names; gFID, the default, does not look at classes."""
    best = best_generator(scores, checks.best_generator_by)
    if best is None:
        return
    said = (
        f"Samples that the held-out classifier reads as the class asked for, of the best generator and sampler by "
        f"{checks.best_generator_by}: {best.generator} with {best.sampler}."
    )
    own = scores.select("generation", generator=best.generator, sampler=best.sampler)
    passed = best.class_agreement >= checks.min_class_agreement
    threshold = f">= {checks.min_class_agreement:g}"
    yield Check("samples_read_as_asked", passed, _or_none(best.class_agreement), threshold, said, list(own["file"]))


def _or_none(value: float) -> float | None:
    """JSON has no NaN; a check whose value is none has failed anyway."""
    return value if value == value else None
