"""The table of differences as lines for a terminal and as a frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from titok.reporting.compare import GOOD, VERDICTS, Difference, Side, unlike_bits
from titok.reporting.noise import COVERAGE
from titok.reporting.numbers import SUMS, Run
from titok.reporting.run_copies import copies_told

_LISTED = 8
"""Of each verdict that is worth a look."""
_TOLD = ("differ", "not judged", "only in A", "only in B", "not comparable")


def summary_lines(a: Run, b: Run, differences: Sequence[Difference]) -> list[str]:
    """What was compared, how many of each verdict, and the first few that are not alike."""
    lines = [f"A  {a.name}: {origin(a)}", f"B  {b.name}: {origin(b)}", verdict_line(differences)]
    lines += [f"   {note}" for note in notes(a, b, differences)]
    for verdict in _TOLD:
        own = [one for one in differences if one.verdict == verdict]
        if own:
            lines.append(f"{verdict}:")
            lines += [f"  {_line(one)}" for one in own[:_LISTED]]
            lines += [f"  and {len(own) - _LISTED} more (--csv, --output list all)"] if len(own) > _LISTED else []
    return lines


def origin(run: Run) -> str:
    """How many numbers, and what made them."""
    commits = ", ".join(commit[:10] for commit in run.environment.get("commit", []))
    parts = [f"{len(run.numbers)} numbers of study {run.study}", f"commit {commits}" if commits else ""]
    parts += [
        f"{key} {', '.join(run.environment[key])}"
        for key in ("arithmetic", "torch", "processor")
        if run.environment.get(key)
    ]
    return ", ".join(filter(None, parts))


def verdict_line(differences: Sequence[Difference]) -> str:
    """How many of each verdict."""
    counts = Counter(one.verdict for one in differences)
    shown = ", ".join(f"{counts[verdict]} {verdict}" for verdict in reversed(VERDICTS) if counts[verdict])
    return f"{len(differences)} quantities, seeds together: {shown}"


def notes(a: Run, b: Run, differences: Sequence[Difference]) -> list[str]:
    """What a reader of the verdicts should know."""
    found = []
    if unlike := unlike_bits(a, b):
        found.append(f"the same bits cannot be expected: {unlike}")
    for name, run in (("A", a), ("B", b)):
        if told := copies_told(run):
            found.append(f"copies count as one repetition; in {name} {told}")
        if not any(key.metric in SUMS for key in run.numbers):
            found.append(f"{name} has no sums of weights, samples and tokens, so those were not compared")
    partly = sum(one.verdict in GOOD and not one.is_harmless for one in differences)
    if partly:
        found.append(f"of those equal or within noise {partly} have seeds in one run that the other lacks")
    judged = [one for one in differences if one.why.startswith("t interval")]
    beyond, by_chance = sum(one.verdict == "differ" for one in judged), (1 - COVERAGE) * len(judged)
    if beyond and by_chance >= 1:
        found.append(
            f"of {len(judged)} judged by t intervals {beyond} differ; at {COVERAGE:.0%} about {by_chance:.0f} would by "
            f"chance"
        )
    return found


def shown(one: Difference) -> tuple[str, str]:
    """A and B: mean and spread over seeds, or the first digits of a sum, of the first seed that differs."""
    if one.metric not in SUMS:
        return _number(one.a), _number(one.b)
    a, b = ({} if side is None else side.numbers for side in (one.a, one.b))
    differing = [seed for seed in a.keys() & b.keys() if a[seed].value != b[seed].value]
    seeds = [min(differing or numbers, default=0) for numbers in (a, b)]
    texts = [str(numbers[seed].value)[:8] if numbers else "" for numbers, seed in zip((a, b), seeds, strict=True)]
    return texts[0], texts[1]


def _number(side: Side | None) -> str:
    if side is None:
        return ""
    # Ten digits keep counts whole.
    text = f"{side.mean:.10g}" if side.mean.is_integer() else f"{side.mean:.5g}"
    return text + (f" ± {side.spread:.3g}" if side.spread else "")


def shown_difference(one: Difference) -> str:
    """A - B with its interval."""
    if one.difference is None:
        return ""
    interval = f" [{one.low:+.3g}, {one.high:+.3g}]" if one.low is not None and one.high is not None else ""
    return f"{one.difference:+.3g}{interval}" if one.difference or interval else "0"


def _line(one: Difference) -> str:
    a, b = shown(one)
    if one.a is None or one.b is None:
        return f"{one.label} of {one.what}: {a or b}"
    return f"{one.label} of {one.what}: {a} against {b} ({one.why})"


def difference_frame(differences: Sequence[Difference]) -> pd.DataFrame:
    """A line per quantity, unrounded."""
    return pd.DataFrame([_row(one) for one in differences])


def _row(one: Difference) -> dict[str, object]:
    row: dict[str, object] = {"verdict": one.verdict, **one.what._asdict(), "metric": one.metric, "label": one.label}
    for name, side in (("a", one.a), ("b", one.b)):
        is_number = side is not None and one.metric not in SUMS
        row |= {
            f"{name}_seeds": len(side.numbers) if side else 0,
            f"{name}_mean": side.mean if side and is_number else None,
            f"{name}_std": side.spread if side and is_number else None,
        }
    return row | {
        "difference": one.difference,
        "low": one.low,
        "high": one.high,
        "relative": one.relative,
        "why": one.why,
    }
