"""The paper's numbers (``config/paper.csv``): looked up by table, row and column, each with how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from titok.errors import ScoreError

COLUMNS = ["table", "row", "column", "value", "tolerance", "confidence", "source"]


@dataclass(frozen=True)
class PaperValue:
    """One published number."""

    value: float
    confidence: str
    """`high` or `medium`; `low` is recalled and unconfirmed: shown in grey, and nothing is judged by it."""
    tolerance: float = 0.0
    """How far a number of ours may be from it and still agree; tables and claims both go by it."""

    @property
    def is_sure(self) -> bool:
        """Whether claims may rest on it."""
        return self.confidence != "low"


@dataclass(frozen=True)
class Paper:
    """All published numbers, one per row of `frame`."""

    frame: pd.DataFrame

    def value(self, reference: str, column: str) -> PaperValue | None:
        """The number of `table/row` in a column; None where the paper's number is not known.

        Raises:
            ScoreError: there is no such row at all.
        """
        table, _, row = reference.partition("/")
        in_table = self.frame[self.frame["table"] == table]
        in_row = in_table[in_table["row"] == row]
        if in_row.empty:
            known = (
                ", ".join(dict.fromkeys(in_table["row"])) or f"none; tables: {', '.join(self.frame['table'].unique())}"
            )
            raise ScoreError(f"paper row {reference!r} is not among the published numbers; rows of {table}: {known}")
        found = in_row[in_row["column"] == column]
        if found.empty:
            return None
        first = found.iloc[0]
        return PaperValue(float(first["value"]), str(first["confidence"]), float(first["tolerance"]))

    def rows(self, table: str) -> list[str]:
        """Names of a table's rows, in the file's order."""
        return list(dict.fromkeys(self.frame.loc[self.frame["table"] == table, "row"]))


def read_paper(path: str | Path) -> Paper:
    """Reads the published numbers.

    Raises:
        ScoreError: the file is missing or has other columns.
    """
    try:
        frame = pd.read_csv(path)
    except FileNotFoundError:
        raise ScoreError(f"{path}: no such file; the published numbers lie in config/paper.csv") from None
    except (ValueError, OSError) as error:  # pandas' own errors of parsing are of the first kind
        raise ScoreError(f"{path} is no CSV of published numbers ({error}); they lie in config/paper.csv") from error
    if list(frame.columns) != COLUMNS:
        raise ScoreError(f"{path}: columns are {list(frame.columns)}, expected {COLUMNS}")
    return Paper(frame)
