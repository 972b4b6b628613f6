"""What became of a study: its working checks and its trends, as files and in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from titok.errors import TitokError
from titok.reporting.checks import Check, require_passed, run_checks, shown_value
from titok.reporting.collect import read_scores
from titok.reporting.judgement import Judgement, shown
from titok.reporting.trends import Trend, study_trends
from titok.runtime.files import FileError, read_json, write_json, write_text

if TYPE_CHECKING:
    from titok.config.reporting import Reporting

FORMAT = 3
"""Format 1 was a list of checks, trends among them; format 2 had other words for trends: holds, contradicted."""
SWITCHED_OFF = "The study has switched off the other working checks: its numbers are not claimed to mean anything."


class TrendsDoNotHold(TitokError):
    """At least one trend differs or is undecided, and somebody asked for an error; the message names each."""


@dataclass(frozen=True)
class Outcome:
    """What ``checks.json`` holds.

    Attributes:
        all_checked: whether the study wants its models to work (`reporting.checks.enabled`).
    """

    working: Sequence[Check]
    trends: Sequence[Trend]
    all_checked: bool = True

    @property
    def passed(self) -> int:
        """How many working checks did."""
        return sum(check.passed for check in self.working)

    @property
    def holding(self) -> int:
        """How many trends do."""
        return sum(trend.judgement.word == "agrees" for trend in self.trends)

    def require_working(self) -> None:
        """Raises:
        ChecksFailed: names every working check that failed.
        """
        require_passed(self.working)

    def require_trends(self) -> None:
        """Raises:
        TrendsDoNotHold: names every trend that differs or is undecided, and why.
        """
        others = [trend for trend in self.trends if trend.judgement.word != "agrees"]
        if others:
            raise TrendsDoNotHold("\n  - ".join([f"{len(others)} trend(s) do not hold:", *map(described, others)]))


def make_outcome(
    reporting: Reporting,
    score_files: Iterable[str | Path],
    output: str | Path,
    planned: Sequence[str] | None = None,
) -> Outcome:
    """Judges score files; writes ``checks.json`` (`output`) and the same as Markdown beside it.

    It does not raise when a check fails, so that the report can show it; see :meth:`Outcome.require_working`.
    ``planned``: the score files that the study plans.
    """
    scores = read_scores(score_files)
    found = Outcome(
        run_checks(scores, reporting, planned), study_trends(reporting, scores), all_checked=reporting.checks.enabled
    )
    write_json(output, {"format": FORMAT, **asdict(found)})
    write_text(Path(output).with_suffix(".md"), markdown(found))
    return found


def read_outcome(path: str | Path) -> Outcome:
    """What :func:`make_outcome` wrote.

    Raises:
        FileError: the file is missing, or of another format.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FileError(f"{path} holds no checks of format {FORMAT}; write it again with `titok checks`")
    trends = [Trend(**{**entry, "judgement": Judgement(**entry["judgement"])}) for entry in content["trends"]]
    return Outcome([Check(**entry) for entry in content["working"]], trends, content["all_checked"])


def summary(found: Outcome) -> str:
    """Both lists in one sentence each."""
    parts = [f"{found.passed} of {len(found.working)} working checks passed."]
    if not found.all_checked:
        parts.append(SWITCHED_OFF)
    if found.trends:
        parts.append(f"{found.holding} of {len(found.trends)} trends hold.")
    return " ".join(parts)


def described(trend: Trend) -> str:
    """A trend with its word, numbers and seeds, in one line."""
    found = trend.judgement
    seeds = "" if found.seeds is None else f", {found.seeds} seed{'s' * (found.seeds != 1)}"
    because = f"; {found.because}" if found.because else ""
    return f"{trend.name}: {found.word} ({shown(found) or 'no number'}{seeds}{because})"


def markdown(found: Outcome) -> str:
    """Two tables, failed checks first."""
    lines = [summary(found), "", "| | working check | value | needs | meaning |", "| --- | --- | ---: | --- | --- |"]
    for check in sorted(found.working, key=lambda check: check.passed):
        cells = ["pass" if check.passed else "**FAIL**", check.name, shown_value(check), check.threshold]
        lines.append(f"| {' | '.join([*cells, check.explanation])} |")
    if found.trends:
        lines += ["", "| | trend | found | seeds | |", "| --- | --- | ---: | ---: | --- |"]
    for trend in found.trends:
        judged = trend.judgement
        seeds = "" if judged.seeds is None else str(judged.seeds)
        lines.append(f"| {judged.word} | {trend.statement} | {shown(judged)} | {seeds} | {judged.because} |")
    return "\n".join([*lines, ""])
