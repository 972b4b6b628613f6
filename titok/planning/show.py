"""A plan as text, Markdown and plain data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from titok.errors import some_of
from titok.planning.costs import Affordable, Costs, OwnHours, Part, RuleCost, TargetCost
from titok.planning.storage import Storage
from titok.reporting.paper import Paper

PARTS_SHOWN = 4


@dataclass(frozen=True)
class Report:
    """Everything there is to say about a plan."""

    study: str
    asked_for: str
    is_remaining: bool
    source: str
    unit: str
    """What hours are of: GPU, core."""
    num_gpus: int
    gpus_per_job: int
    """The most that any training takes."""
    num_jobs: int
    gpu_hours: float
    wall_hours: float
    storage: Storage
    rules: Sequence[RuleCost]
    targets: Sequence[TargetCost]
    own_hours: Sequence[OwnHours]
    budget: float | None
    affordable: Sequence[Affordable]
    parts: Sequence[Part]
    """Single models within the budget."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, unrounded."""
        return {"format": 1, **asdict(self), "storage": self.storage._asdict()}


def make_report(costs: Costs, paper: Paper, asked_for: str, budget: float | None, is_remaining: bool) -> Report:
    """All numbers of a plan."""
    everything = range(len(costs.graph.jobs))
    targets = costs.by_target(paper)
    return Report(
        study=costs.targets.study.study,
        asked_for=asked_for,
        is_remaining=is_remaining,
        source=costs.rates.source,
        unit=costs.rates.unit,
        num_gpus=costs.num_gpus,
        gpus_per_job=max(costs.gpus, default=1),
        num_jobs=len(costs.graph.jobs),
        gpu_hours=costs.gpu_hours(everything),
        wall_hours=costs.wall_hours(),
        storage=costs.stored(everything),
        rules=costs.by_rule(),
        targets=targets,
        own_hours=costs.own_hours(paper),
        budget=budget,
        affordable=[] if budget is None else costs.affordable(targets, budget),
        parts=[] if budget is None else costs.parts(budget),
    )


def markdown(report: Report) -> str:
    """The whole plan; it reads well as plain text, too."""
    what = "what is missing of" if report.is_remaining else "all of"
    unit = report.unit
    parts = [
        f"Study {report.study}, {what} {report.asked_for}: {report.num_jobs} jobs, {hours(report.gpu_hours)} "
        f"{unit}-hours, {hours(report.wall_hours)} hours on {report.num_gpus} {unit}s, {size(report.storage.size)}, "
        f"{report.storage.files} files.",
        f"{report.source} Element-wise work, reading, preparing images (CPUs) and waiting are not in it; a training "
        f"takes up to {report.gpus_per_job} {unit}(s) and is assumed to spread evenly, any other job takes one.",
        _table(
            ("rule", "jobs", f"{unit}-hours", "longest job, h", "disk", "files"),
            (
                (cost.rule, cost.jobs, hours(cost.gpu_hours), hours(cost.longest_hours), size(cost.storage.size), files)
                for cost in report.rules
                for files in (cost.storage.files,)
            ),
        ),
    ]
    if report.own_hours and unit == "GPU":  # the paper's are
        parts.append(_own_hours(report.own_hours))
    if report.targets:
        parts.append(_targets(report.targets, report.num_gpus, unit))
    if report.budget is not None:
        parts.append(_budget(report))
    return "\n\n".join(parts) + "\n"


def _own_hours(found: Sequence[OwnHours]) -> str:
    head = ("variant", "tokenizer", "generator", "together", "in the paper (A100 40 GB)", "ratio")
    rows = []
    for own in found:
        parts = (own.tokenizer_hours, own.generator_hours, own.together, own.paper_hours)
        rows.append((own.variant, *map(hours, parts), f"{own.together / own.paper_hours:.2f}"))
    note = "GPU-hours of training here and by the paper's reproducibility card, which does not say what it includes."
    return f"{note}\n\n{_table(head, rows)}"


def _targets(found: Sequence[TargetCost], num_gpus: int, unit: str) -> str:
    head = ("target", "jobs", f"{unit}-hours", f"hours on {num_gpus} {unit}s", "disk", "numbers of the paper")
    rows = (
        (
            cost.name,
            cost.jobs,
            hours(cost.gpu_hours),
            hours(cost.wall_hours),
            size(cost.storage.size),
            len(cost.verifies),
        )
        for cost in found
    )
    return f"Each target by itself, with everything behind it:\n\n{_table(head, rows)}"


def _budget(report: Report) -> str:
    budget = report.budget or 0.0
    alone = [cost.name for cost in report.targets if cost.gpu_hours <= budget]
    if not alone:
        return _what_else(report, budget)
    head = ("target", f"{report.unit}-hours more", "together", "verifies of the paper, beyond the rows above")
    rows = (
        (each.name, hours(each.extra_gpu_hours), hours(each.together_gpu_hours), some_of(each.verifies, 4) or "nothing")
        for each in report.affordable
    )
    return (
        f"Alone, each of these fits into {budget:g} {report.unit}-hours: {', '.join(alone)}. Together, most numbers of "
        f"the paper per hour first:\n\n{_table(head, rows)}"
    )


def _what_else(report: Report, budget: float) -> str:
    """What can be done where no target fits."""
    cheapest = report.targets[0] if report.targets else None
    hint = f" The cheapest is {cheapest.name} with {hours(cheapest.gpu_hours)}." if cheapest else ""
    lines = [f"No target fits into {budget:g} {report.unit}-hours.{hint} What does:", ""]
    if shown := report.parts[:PARTS_SHOWN]:
        parts = ", ".join(f"`{part.file}` ({hours(part.gpu_hours)})" for part in shown)
        others = f" and {len(report.parts) - len(shown)} cheaper ones" if len(report.parts) > len(shown) else ""
        lines.append(f"- parts of it, each a target of `snakemake` with everything behind it: {parts}{others};")
    lines += [
        "- a copy of the study under another name with fewer `seeds`, fewer tokenizers or fewer `steps`: other numbers "
        "than the paper's, but the same work;",
        "- `config/published.yaml`, which measures the released models and trains nothing: `titok plan --config "
        "config/published.yaml`.",
    ]
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table with aligned columns, numbers to the right."""
    lines = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(head))]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(f"| {' | '.join(_padded(line, widths))} |" for line in lines)


def _padded(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = cells
    return [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]


def hours(value: float) -> str:
    """Three digits, and no more decimals than mean something."""
    if value == 0:
        return "0"
    if value < 0.01:
        return "< 0.01"
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{decimals}f}".replace(",", " ")


def size(value: float) -> str:
    """Bytes as people say them."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value / 1e3:.0f} kB"
