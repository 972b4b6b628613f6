"""A number of ours beside the paper's: what is known of ours, and whether the two agree.

What another measurement of the same thing would give decides what the number is worth:

 - trained here: another training would give another number, so seeds are repetitions, three at least. One seed says
   nothing of the next one, however many images it is measured on.
 - released weights, reconstructing the paper's own images: the very same number. Nothing is repeated.
 - released weights, drawing samples: another set of samples. The record's interval over images is that of one set, and
   the paper's set is a second one.
 - speeds with a protocol of their own: another sitting, three at least; seeds share a speed, which no weights change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from titok.reporting.collect import NotComparableError
from titok.reporting.comparable import TRAINING_SPEED, require_as_in_the_paper
from titok.reporting.estimates import Estimate, Seeds, combine
from titok.reporting.judgement import Judgement, Statement, judge
from titok.reporting.speeds import are_apart

if TYPE_CHECKING:
    import pandas as pd

    from titok.records.record import Kind
    from titok.reporting.collect import Scores
    from titok.reporting.paper import Paper

RELEASED = "released"
EXTERNAL = "external"
REGIONS = "regions"
"""Recipes whose numbers no seed of ours changes."""
PRINTED_EXACTLY = {"table4a/titok-l-32": "table3a/titok-l-32-base"}
"""Rows whose number the paper prints with a digit more in another table. It is judged by that one in either, for a page
must not say two things of one model's number."""


def known_of(
    scores: Scores, records: pd.DataFrame, metric: str, kind: Kind, *, of_the_paper: bool = False
) -> Seeds | Estimate:
    """What is known of one thing's number: what each seed gave, or an estimate where seeds are no repetitions.

    ``of_the_paper``: it is held against the paper's, whose VQGAN another one that was trained here is not.

    Raises:
        NotComparableError: its seeds were measured by several protocols.
    """
    first = records.iloc[0]
    if are_apart(records, metric):
        return scores.sittings(str(first["generator"]), str(first["sampler"]))
    scores.require_one_protocol(records, metric)
    if kind == "generation" and first.get("generator_recipe") == RELEASED:
        return _with_interval(scores, first, metric)
    # The VQGAN is the one teacher that all of a study's tokenizers share; trained here, its record says how fast.
    is_teacher = first.get("tokenizer") == "vqgan"
    is_own = is_teacher and TRAINING_SPEED in records and records[TRAINING_SPEED].notna().any()
    is_given = first.get("recipe") in (RELEASED, EXTERNAL, REGIONS) or (is_teacher and not (of_the_paper and is_own))
    if kind == "reconstruction" and is_given:
        return Estimate.exactly(float(first[metric]))
    return scores.by_seed(records, metric)


def _with_interval(scores: Scores, record: pd.Series, metric: str) -> Estimate:
    found = scores.intervals.get((str(record["file"]), metric))
    value = float(record[metric])
    if found is None:
        return Estimate(value, float("nan"), float("inf"), 1, basis="images")
    return Estimate.measured(value, found.low, found.high, found.coverage, "images")


def near(known: Seeds | Estimate, expected: float, tolerance: float) -> Judgement:
    """Whether a number is the expected one, which is itself one repetition, give or take the tolerance."""
    return judge(Statement.near(combine([known], [1.0]).against_one_more(), expected, tolerance))


def beside_the_paper(
    scores: Scores, records: pd.DataFrame, metric: str, kind: Kind, paper: Paper, reference: str, column: str
) -> Judgement | None:
    """The judgement of a number of ours and the paper's (row ``reference``, ``column``); None where one is missing or
    nobody is sure of the paper's."""
    table, _, row = PRINTED_EXACTLY.get(reference, reference).partition("/")
    theirs = paper.value(f"{table}/{row}" if row in paper.rows(table) else reference, column)
    if theirs is None or not theirs.is_sure or not scores.has(records, metric):
        return None
    try:
        require_as_in_the_paper(scores, records, metric, kind, paper, reference)
        known = known_of(scores, records, metric, kind, of_the_paper=True)
        return near(known, theirs.value, theirs.tolerance)
    except NotComparableError as error:
        return Judgement("not comparable", because=error.differing)
