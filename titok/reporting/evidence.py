"""What claims are judged by, and the words in which their expressions speak of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from titok.errors import TitokError
from titok.records.record import Kind
from titok.reporting.beside import known_of
from titok.reporting.collect import MissingScore, Scores
from titok.reporting.comparable import SAMPLING_SPEED, require_as_in_the_paper
from titok.reporting.judgement import Judgement
from titok.reporting.layouts import LAYOUTS, TOKENS
from titok.reporting.paper import Paper
from titok.reporting.quantity import Quantity, compared, ratio
from titok.reporting.tables import row_subject
from titok.reporting.trends import trend_functions

if TYPE_CHECKING:
    from titok.config.reporting import Reporting

Facts = Mapping[str, Mapping[str, float]]
"""Model -> what was measured on it."""


class NotCheckableError(TitokError):
    """A claim rests on a number that nobody is sure of."""


@dataclass(frozen=True)
class Evidence:
    """What claims are judged by.

    Attributes:
        scores: of one study; none (an empty frame) where only models and the paper are looked at.
        scope: `imagenet256`, `imagenet512` or `imagenet100` where the study is on that dataset; else its numbers are no
            paper's.
    """

    paper: Paper
    models: Facts
    scores: Scores
    reporting: Reporting | None = None
    scope: str | None = None

    def functions(self, *, is_absolute: bool = False) -> dict[str, Callable[..., Any]]:
        """The words of one claim's expressions.

        ``is_absolute``: numbers of ours must have been measured as the paper's were.
        """
        grid = self.reporting.tables.table4 if self.reporting else None
        rows = _Rows(self, is_absolute)
        own: dict[str, Callable[..., Any]] = {
            "paper": self._paper,
            "model": self._model,
            "ours": rows.ours,
            "times_as_fast": rows.times_as_fast,
            "lower_at_equal_tokens": rows.lower_at_equal_tokens,
        }
        return {**trend_functions(grid, self.scores), **own}

    def _paper(self, row: str, column: str) -> Quantity:
        found = self.paper.value(row, column)
        if found is None:
            raise NotCheckableError(f"the paper's {column} of {row} is not known")
        if not found.is_sure:
            raise NotCheckableError(f"the paper's {column} of {row} is recalled and was never confirmed")
        return Quantity.exactly(found.value)

    def _model(self, name: str, what: str) -> Quantity:
        if what not in self.models.get(name, {}):
            raise MissingScore(f"{what} of model {name} was not measured")
        return Quantity.exactly(self.models[name][what])


@dataclass
class _Rows:
    """The study's rows that one claim looks at: all numbers of a metric by one protocol."""

    evidence: Evidence
    is_absolute: bool
    seen: dict[str, list[pd.DataFrame]] = field(default_factory=dict)

    def ours(self, row: str, metric: str, table: str | None = None) -> Quantity:
        """The study's number in the first of its rows (of one table) that stands beside this row of the paper.

        In studies other than the paper's, two tables may set different models beside one row: a claim that compares
        two rows names their table.
        """
        kind, records = self._records(row, metric, table)
        if self.is_absolute:
            require_as_in_the_paper(self.evidence.scores, records, metric, kind, self.evidence.paper, row)
        return self._quantity(kind, records, metric)

    def times_as_fast(self, row: str, other: str) -> Quantity:
        """Sampling speed of one row over that of another; both on one device, which need not be the paper's."""
        found = [self._records(name, SAMPLING_SPEED, None) for name in (row, other)]
        return ratio(*(self._quantity(kind, records, SAMPLING_SPEED) for kind, records in found))

    def lower_at_equal_tokens(self, row: str, other: str, metric: str) -> Judgement:
        """Whether the study's row has less of a metric than another of as many tokens; other studies do not ask."""
        counts = [self._tokens(name) for name in (row, other)]
        if counts[0] != counts[1]:
            one, two = (" or ".join(f"{count:g}" for count in sorted(found)) for found in counts)
            raise MissingScore(f"the rows beside {row} and {other} have {one} and {two} tokens; asked is of equal ones")
        return compared(self.ours(row, metric), "<", self.ours(other, metric))

    def _tokens(self, row: str) -> set[float]:
        _, records = self._records(row, TOKENS.metric, None)
        return set(records[TOKENS.metric].dropna())

    def _quantity(self, kind: Kind, records: pd.DataFrame, metric: str) -> Quantity:
        scores = self.evidence.scores
        alike = self.seen.setdefault(metric, [])
        alike.append(records)
        scores.require_one_protocol(pd.concat(alike), metric)
        return Quantity.of(known_of(scores, records, metric, kind, of_the_paper=self.is_absolute))

    def _records(self, row: str, metric: str, table: str | None) -> tuple[Kind, pd.DataFrame]:
        reporting, scores = self.evidence.reporting, self.evidence.scores
        if reporting is None:
            raise MissingScore("needs a study's scores: give --study and --scores")
        for name in reporting.tables.names:
            if table not in (None, name):
                continue
            kinds = {column.metric: column.kind for column in LAYOUTS[name].columns} if name in LAYOUTS else {}
            for ours in reporting.tables.rows(name):
                subject = row_subject(kinds[metric], ours) if ours.paper == row and metric in kinds else {}
                if subject:
                    records = scores.select(kinds[metric], **subject)
                    if scores.has(records, metric):
                        return kinds[metric], records
        raise MissingScore(f"no row of the study's {table or 'tables'} stands beside {row} and has {metric}")
