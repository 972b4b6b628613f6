"""How often a judgement is wrong, and how many repetitions it takes to be right: measured by simulation.

Of every kind of judgement there are three truths: one on the edge of what is said (there, and beyond, `agrees` is
wrong), one in its middle (there `differs` is wrong), and one that a study wants to find. Numbers scatter normally with
a standard deviation of 1 per repetition; random numbers have fixed seeds, so that the table is always the same one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from titok.reporting.beside import near
from titok.reporting.estimates import Estimate, Seeds, Sittings, combine
from titok.reporting.judgement import Judgement, Statement, Word, all_of, judge
from titok.reporting.quantity import Quantity, alike, ratio
from titok.reporting.trends import falls

REPETITIONS = 2000
POWER = 0.8
"""How often a decision must come where it is wanted."""
COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30)
"""Numbers of repetitions that are tried."""
TOLERANCE = 4.0
"""Of numbers beside the paper's, in standard deviations of one repetition."""
TOKENS = (32, 64, 128, 256)

Draw = Callable[[np.random.Generator, float, int], Judgement]
"""Random numbers, truth, number of repetitions -> the judgement of one simulated study."""


@dataclass(frozen=True)
class Kind:
    """A kind of judgement.

    Attributes:
        repeated: what is repeated.
        edge: a truth at which `agrees` is wrong.
        middle: a truth at which `differs` is wrong.
        wanted: a truth that should be found, in words, and its value.
        count: repetitions at which the error rates are measured.
    """

    name: str
    repeated: str
    draw: Draw
    edge: float
    middle: float
    wanted: tuple[str, float]
    count: int


@dataclass(frozen=True)
class Rates:
    """What was measured of a kind.

    Attributes:
        needed: repetitions from which on what is wanted is found in `POWER` of the cases; null: more than were tried.
    """

    kind: Kind
    wrongly_agrees: float
    wrongly_differs: float
    needed: int | None


def _seeds(random: np.random.Generator, mean: float, count: int, first: int = 0) -> Seeds:
    return dict(enumerate((mean + random.normal(size=count)).tolist(), first))


def _sets(random: np.random.Generator, mean: float, count: int) -> Estimate:
    """The mean of ``count`` sets of images; each comes with an interval that is as wide as its scatter."""
    return Estimate(mean + random.normal() / math.sqrt(count), 1 / math.sqrt(count), math.inf, count, basis="images")


def _number_from_seeds(random: np.random.Generator, truth: float, count: int) -> Judgement:
    return near(_seeds(random, truth, count), random.normal(), TOLERANCE)


def _number_from_images(random: np.random.Generator, truth: float, count: int) -> Judgement:
    return near(_sets(random, truth, count), random.normal(), TOLERANCE)


def _paired(random: np.random.Generator, truth: float, count: int) -> Judgement:
    """One minus the other; what a seed does to both is larger than what is left."""
    own = 3 * random.normal(size=count)
    scattered = [own + mean + random.normal(size=count) / math.sqrt(2) for mean in (truth, 0)]
    return judge(Statement(combine([dict(enumerate(values.tolist())) for values in scattered], [1.0, -1.0])))


def _unpaired(random: np.random.Generator, truth: float, count: int) -> Judgement:
    groups = [_seeds(random, truth, count), _seeds(random, 0, count, first=100)]
    return judge(Statement(combine(groups, [1.0, -1.0])))


def _from_images(random: np.random.Generator, truth: float, count: int) -> Judgement:
    return judge(Statement(combine([_sets(random, truth, count), _sets(random, 0, count)], [1.0, -1.0])))


def _alike(random: np.random.Generator, truth: float, count: int) -> Judgement:
    one, other = (Quantity.of(_seeds(random, mean, count)) for mean in (truth, 0))
    return alike(one, other, Quantity.exactly(TOLERANCE))


def _trend(random: np.random.Generator, truth: float, count: int) -> Judgement:
    """Three sizes: the first one falls by ``truth`` deviations per doubling of K, the others clearly."""
    slopes = (truth, -8.0, -8.0)
    curves = [
        {
            k: {seed: 2.0 ** ((10 + slope * place + value) / 10) for seed, value in _seeds(random, 0, count).items()}
            for place, k in enumerate(TOKENS)
        }
        for slope in slopes
    ]
    return all_of([falls(f"size {place}", curve, len(curves)) for place, curve in enumerate(curves)])


def _speeds(random: np.random.Generator, truth: float, count: int) -> Judgement:
    """The ratio of two speeds whose sittings scatter by 2 %, beside the paper's of 2, which scatters, too."""

    def timed(speed: float) -> Sittings:
        return Sittings(enumerate((speed * (1 + 0.02 * random.normal(size=count))).tolist()))

    found = ratio(Quantity.of(timed(100 * (2 + truth * SPEED_TOLERANCE))), Quantity.of(timed(100.0)))
    paper = 2 * (1 + 0.02 * random.normal()) / (1 + 0.02 * random.normal())
    return judge(Statement.near(found.estimate.against_one_more(), paper, SPEED_TOLERANCE))


SPEED_TOLERANCE = 0.4
IMAGES = "sets of images"
_TWO = ("a difference of 2 deviations", -2.0)
_SAME = ("the paper's number", 0.0)
KINDS: tuple[Kind, ...] = (
    Kind("a number beside the paper's, trained here", "seeds", _number_from_seeds, TOLERANCE, 0.0, _SAME, 5),
    Kind("a number beside the paper's, released weights", IMAGES, _number_from_images, TOLERANCE, 0.0, _SAME, 1),
    Kind("one lower than the other, seeds in pairs", "seeds", _paired, 0.0, 0.0, _TWO, 5),
    Kind("one lower than the other, other seeds", "seeds", _unpaired, 0.0, 0.0, _TWO, 5),
    Kind("one lower than the other, released weights", IMAGES, _from_images, 0.0, 0.0, _TWO, 1),
    Kind("two of ours the same", "seeds", _alike, TOLERANCE, 0.0, ("no difference", 0.0), 5),
    Kind("falls with K, three sizes", "seeds", _trend, 0.0, 0.0, ("2 deviations per doubling", -2.0), 5),
    Kind("a ratio of speeds beside the paper's", "sittings", _speeds, 1.0, 0.0, _SAME, 3),
)


@functools.cache
def calibration() -> tuple[Rates, ...]:
    """The rates of every kind; a few seconds of one processor."""
    return tuple(map(_measured, KINDS))


def _measured(kind: Kind) -> Rates:
    edge, middle = (_said(kind, truth, kind.count, REPETITIONS) for truth in (kind.edge, kind.middle))
    few = REPETITIONS // 5
    needed = next((n for n in COUNTS if _said(kind, kind.wanted[1], n, few).count("agrees") >= POWER * few), None)
    return Rates(kind, edge.count("agrees") / REPETITIONS, middle.count("differs") / REPETITIONS, needed)


def _said(kind: Kind, truth: float, count: int, repetitions: int) -> list[Word]:
    random = np.random.default_rng([KINDS.index(kind), count])
    return [kind.draw(random, truth, count).word for _ in range(repetitions)]


def calibration_markdown(found: Sequence[Rates]) -> str:
    """The rates as a table."""
    head = [
        "| what is judged | repetitions | `agrees` on the edge | `differs` in the middle | to find | takes |",
        "| --- | ---: | ---: | ---: | --- | ---: |",
    ]
    rows = [
        f"| {rates.kind.name} | {_counted(rates.kind, rates.kind.count)} | {rates.wrongly_agrees:.1%} | "
        f"{rates.wrongly_differs:.1%} | {rates.kind.wanted[0]} | {_needed(rates)} |"
        for rates in found
    ]
    return "\n".join([*head, *rows, ""])


def _needed(rates: Rates) -> str:
    count = rates.needed
    return f"more than {COUNTS[-1]}" if count is None else _counted(rates.kind, count)


def _counted(kind: Kind, count: int) -> str:
    """`1 set of images`, `5 seeds`."""
    singular = {"seeds": "seed", IMAGES: "set of images", "sittings": "sitting"}[kind.repeated]
    return f"{count} {singular if count == 1 else kind.repeated}"
