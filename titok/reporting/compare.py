"""Two runs held against each other: a verdict for everything that was measured, seeds together."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from titok.errors import ScoreError, some_of
from titok.records.metric import described
from titok.reporting.noise import ENOUGH_SEEDS, difference_interval, strays
from titok.reporting.numbers import SUMS, Number, Run, What
from titok.reporting.run_copies import without_copies

Verdict = Literal["differ", "not judged", "only in A", "only in B", "not comparable", "within noise", "equal"]
VERDICTS: tuple[Verdict, ...] = (
    "differ", "not judged", "only in A", "only in B", "not comparable", "within noise", "equal",
)  # fmt: skip
"""In the order in which they are shown."""
GOOD: frozenset[Verdict] = frozenset({"equal", "within noise"})
ROUNDING = 1e-6
"""Relative; networks compute in float32, whose numbers are 1e-7 apart."""
_METRICS_BEYOND_CHANCE = 3


@dataclass(frozen=True)
class Side:
    """One run's numbers of something, by seed."""

    numbers: Mapping[int, Number]

    @property
    def values(self) -> dict[int, float]:
        """Seed -> value, of numbers that are no sums."""
        return {seed: float(number.value) for seed, number in self.numbers.items()}

    @property
    def mean(self) -> float:
        """Over seeds."""
        return statistics.fmean(self.values.values())

    @property
    def spread(self) -> float | None:
        """Standard deviation over seeds; None for one."""
        return statistics.stdev(self.values.values()) if len(self.numbers) > 1 else None

    @property
    def seeds(self) -> str:
        """For people."""
        return f"seed{'s' if len(self.numbers) > 1 else ''} {', '.join(map(str, sorted(self.numbers)))}"


@dataclass(frozen=True)
class Difference:
    """What was found about one metric of one thing.

    Attributes:
        low, high: 95 % interval of the difference of means, or what the records' own intervals leave of it.
        why: what the verdict rests on, and what else should be known.
    """

    what: What
    metric: str
    label: str
    verdict: Verdict
    why: str
    a: Side | None
    b: Side | None
    low: float | None = None
    high: float | None = None

    @property
    def difference(self) -> float | None:
        """A - B, of means; None for sums and where one side is missing."""
        if self.a is None or self.b is None or self.metric in SUMS:
            return None
        return self.a.mean - self.b.mean

    @property
    def relative(self) -> float:
        """The difference's size, as a share of the larger mean; 0 where there is none."""
        return relative(self.a.mean, self.b.mean) if self.difference and self.a and self.b else 0.0

    @property
    def is_harmless(self) -> bool:
        """Equal or within noise, and no seed of one run is missing in the other where they share some."""
        if self.a is None or self.b is None:
            return False
        one, other = self.a.numbers.keys(), self.b.numbers.keys()
        return self.verdict in GOOD and (one == other or not one & other)


def relative(a: float, b: float) -> float:
    """How far apart two numbers are, as a share of the larger one: 0 to 2."""
    return abs(a - b) / max(abs(a), abs(b)) if a != b else 0.0


def compare_runs(a: Run, b: Run) -> list[Difference]:
    """Every metric of everything measured in either run, most different first.

    Raises:
        ScoreError: the runs share nothing.
    """
    a, b = _without_lonely_sums(without_copies(a), without_copies(b))
    sides = _sides(a), _sides(b)
    if not sides[0].keys() & sides[1].keys():
        raise ScoreError(
            f"{a.name} (study {a.study!r}) and {b.name} (study {b.study!r}) share nothing that was measured: the first "
            f"has {_some(a)}, the second {_some(b)}; give two runs of one study, or of studies that name things alike"
        )
    unlike, repeated = unlike_bits(a, b), _repeated(a, b)
    found = []
    for what, metric in sorted(sides[0].keys() | sides[1].keys()):
        one, other = (side.get((what, metric)) for side in sides)
        label = (a if one else b).label(metric)
        blank = Difference(what, metric, label, "equal", "", one, other)
        if one is None or other is None:
            found.append(replace(blank, verdict="only in B" if one is None else "only in A"))
        else:
            judged = _judged(blank, one, other, (a, b), unlike, described(metric).follows)
            found.append(_repeated_elsewhere(judged, repeated.get(what, [])))
    return sorted(found, key=lambda one: (VERDICTS.index(one.verdict), -one.relative, one.what, one.metric))


def unlike_bits(a: Run, b: Run) -> str:
    """Why the same bits cannot be expected of two runs; empty where they can."""
    keys = ["arithmetic", "device", "torch"]
    arithmetic = {value for run in (a, b) for value in run.environment.get("arithmetic", ["native"])}
    if arithmetic != {"portable"}:
        keys.append("processor")
    if len({tuple(run.environment.get("architecture", ())) for run in (a, b)}) > 1:
        keys.append("architecture")
    told = []
    for key in keys:
        one, other = (" or ".join(run.environment.get(key, ["unknown"])) for run in (a, b))
        if one != other:
            told.append(f"{key} {one} in A, {other} in B")
    return "; ".join(told)


def _repeated(a: Run, b: Run) -> dict[What, list[int]]:
    """Seeds at which two runs have a whole record bit for bit: chance does not do that to several metrics."""
    records: dict[tuple[What, int], list[bool]] = {}
    for key, number in a.numbers.items():
        if key.metric not in SUMS:
            own = b.numbers.get(key)
            records.setdefault((key.what, key.seed), []).append(own is not None and own.value == number.value)
    found: dict[What, list[int]] = {}
    for (what, seed), equal in records.items():
        if len(equal) >= _METRICS_BEYOND_CHANCE and all(equal):
            found.setdefault(what, []).append(seed)
    return found


def _repeated_elsewhere(found: Difference, seeds: Sequence[int]) -> Difference:
    """Where some seeds came out bit for bit, nothing is left to chance, and another one that did not is spoilt."""
    if found.verdict not in ("within noise", "not judged") or not seeds or found.a is None or found.b is None:
        return found
    shared = found.a.numbers.keys() & found.b.numbers.keys()
    others = sorted(seed for seed in shared if found.a.numbers[seed].value != found.b.numbers[seed].value)
    if not others:
        return found
    equal, unequal = (", ".join(map(str, sorted(some))) for some in (seeds, others))
    return replace(found, verdict="differ", why=f"seed {unequal}, while seed {equal} came out bit for bit")


def _without_lonely_sums(a: Run, b: Run) -> tuple[Run, Run]:
    """Sums that one run has none of (scores alone were copied, say) are no difference."""
    have = [any(key.metric in SUMS for key in run.numbers) for run in (a, b)]
    if all(have):
        return a, b
    kept = [{key: number for key, number in run.numbers.items() if key.metric not in SUMS} for run in (a, b)]
    return replace(a, numbers=kept[0]), replace(b, numbers=kept[1])


def _sides(run: Run) -> dict[tuple[What, str], Side]:
    grouped: dict[tuple[What, str], dict[int, Number]] = {}
    for key, number in run.numbers.items():
        grouped.setdefault((key.what, key.metric), {})[key.seed] = number
    return {group: Side(numbers) for group, numbers in grouped.items()}


def _some(run: Run) -> str:
    whats = sorted({str(key.what) for key in run.numbers})
    return some_of(whats, 3)


def _judged(blank: Difference, a: Side, b: Side, runs: tuple[Run, Run], unlike: str, follows: str) -> Difference:
    """A verdict, with what else should be known: missing seeds, another classifier behind the numbers."""
    shared = a.numbers.keys() & b.numbers.keys()
    barred, remark = protocols_differ(a, b, runs) if follows != "settings" else ("", "")
    remarks = [remark] if remark else []
    if shared and a.numbers.keys() != b.numbers.keys():
        remarks.append(f"{a.seeds} in A, {b.seeds} in B")
    if barred:
        found = replace(blank, verdict="not comparable", why=barred)
    elif shared and all(a.numbers[seed].value == b.numbers[seed].value for seed in shared):
        found = blank
    elif not shared and _sorted(a) == _sorted(b):
        found = replace(blank, why=f"the same at other seeds: {a.seeds} in A, {b.seeds} in B")
    elif blank.metric in SUMS:
        found = _judged_sums(blank, a, b, unlike)
    elif follows == "settings":
        same = set(a.values.values()) == set(b.values.values())
        found = blank if same else replace(blank, verdict="differ", why="counted from settings, so there is no noise")
    else:
        found = _judged_numbers(blank, a, b, unlike)
    return replace(found, why="; ".join(filter(None, (found.why, *remarks))))


def _sorted(side: Side) -> list[float | str]:
    """All values of a side, whichever seed gave them; a metric's are all numbers or all sums."""
    return sorted((number.value for number in side.numbers.values()), key=lambda value: (str(type(value)), value))


def protocols_differ(a: Side, b: Side, runs: tuple[Run, Run]) -> tuple[str, str]:
    """(why two sides' numbers cannot be compared, what should be known where they can): empty for none.

    A study trains the classifier behind its scores, so that two runs have two: its sum is told, and bars nothing.
    """
    for side, name in ((a, "A"), (b, "B")):
        if len({number.protocol_id for number in side.numbers.values()}) > 1:
            return f"seeds of {name} were measured by several protocols", ""
    ids = [next(iter(side.numbers.values())).protocol_id for side in (a, b)]
    if ids[0] == ids[1]:
        return "", ""
    one, other = (run.protocols.get(identifier, {}) for run, identifier in zip(runs, ids, strict=True))
    keys = [key for key in sorted({*one, *other}) if one.get(key) != other.get(key)]
    own = "extractor.sha256"
    if keys == [own] and one.get("extractor.kind") == "classifier":
        return "", "each run trained the classifier of its protocol (extractor.sha256)"
    told = [f"{key} {one.get(key)!r} in A, {other.get(key)!r} in B" for key in keys if key != own]
    return f"measured otherwise: {'; '.join(told) or f'protocol {ids[0]} in A, {ids[1]} in B'}", ""


def _judged_sums(blank: Difference, a: Side, b: Side, unlike: str) -> Difference:
    shared = sorted(a.numbers.keys() & b.numbers.keys())
    if not shared:
        return replace(blank, verdict="not comparable", why=f"other seeds: {a.seeds} in A, {b.seeds} in B")
    if unlike:
        return replace(blank, verdict="not comparable", why=f"bits can only be alike where these are: {unlike}")
    others = [str(seed) for seed in shared if a.numbers[seed].value != b.numbers[seed].value]
    return replace(blank, verdict="differ", why=f"other bits at seed {', '.join(others)}")


def _judged_numbers(blank: Difference, a: Side, b: Side, unlike: str) -> Difference:
    same_seeds = a.numbers.keys() == b.numbers.keys()
    if same_seeds and all(relative(a.values[seed], b.values[seed]) <= ROUNDING for seed in a.values):
        return replace(
            blank, verdict="within noise", why=f"rounding: less than {ROUNDING:g} of the value at every seed"
        )
    if min(len(a.numbers), len(b.numbers)) < ENOUGH_SEEDS:
        return _judged_by_images(blank, a, b, expects_bits=same_seeds and not unlike)
    low, high = difference_interval(a.values, b.values)
    far = strays(a.values, b.values)
    of = f"{len(a.numbers)} and {len(b.numbers)} seeds{', in pairs' if same_seeds else ''}"
    if not low <= 0 <= high:
        return replace(blank, verdict="differ", why=f"t interval over {of}", low=low, high=high)
    if far:
        why = f"seed {', '.join(map(str, far))} lies far outside the other run's spread over seeds"
        return replace(blank, verdict="differ", why=why, low=low, high=high)
    return replace(blank, verdict="within noise", why=f"t interval over {of}", low=low, high=high)


def _judged_by_images(blank: Difference, a: Side, b: Side, *, expects_bits: bool) -> Difference:
    """Few seeds: what other images would do is known from the records, what other seeds would do is not."""
    few = f"fewer than {ENOUGH_SEEDS} seeds"
    halves = [_half_interval(side) for side in (a, b)]
    if halves[0] is None or halves[1] is None:
        alike = "seeds and all that decides bits are alike, so the code or its inputs are not"
        verdict: Verdict = "differ" if expects_bits else "not judged"
        return replace(blank, verdict=verdict, why=alike if expects_bits else f"{few}, and no interval over images")
    centre, half = a.mean - b.mean, (halves[0] ** 2 + halves[1] ** 2) ** 0.5
    found = replace(blank, low=centre - half, high=centre + half)
    if abs(centre) <= half:
        return replace(found, verdict="within noise", why=f"{few}: by the records' intervals over images")
    why = f"{few}: beyond the records' intervals over images, which do not know what another seed does"
    return replace(found, verdict="differ" if expects_bits else "not judged", why=why)


def _half_interval(side: Side) -> float | None:
    """Half the width of the records' intervals, averaged and not reduced: the images are the same for every seed."""
    ends = [(number.low, number.high) for number in side.numbers.values()]
    widths = [(high - low) / 2 for low, high in ends if low is not None and high is not None]
    return statistics.fmean(widths) if len(widths) == len(ends) else None
