"""What a study costs: per job, per rule, per target, and beside the paper's own hours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from titok.config.cluster import resources_of
from titok.config.paper_targets import available, target_files
from titok.config.rows import Row
from titok.config.targets import Targets
from titok.planning.covered import verified_numbers
from titok.planning.device_rates import Rates
from titok.planning.graph import Graph, Job
from titok.planning.storage import Storage, storage_of
from titok.planning.wall_time import wall_seconds
from titok.planning.work import TRAINING_RULES, Work, work_of
from titok.reporting.paper import Paper

DEFAULT_GPUS = 8
"""That a training takes at most, where nobody says otherwise: one machine's."""


@dataclass(frozen=True)
class RuleCost:
    """All jobs of a rule together."""

    rule: str
    jobs: int
    gpu_hours: float
    longest_hours: float
    """Of its longest job, on as many GPUs as that may take."""
    storage: Storage


@dataclass(frozen=True)
class TargetCost:
    """A table or figure by itself."""

    name: str
    jobs: int
    gpu_hours: float
    wall_hours: float
    storage: Storage
    verifies: tuple[str, ...]
    """The paper's numbers that it puts ours beside: `table1/titok-l-32 rfid`."""


@dataclass(frozen=True)
class OwnHours:
    """A variant here and in the paper's reproducibility card."""

    variant: str
    tokenizer_hours: float
    generator_hours: float
    paper_hours: float

    @property
    def together(self) -> float:
        """Tokenizer and generator."""
        return self.tokenizer_hours + self.generator_hours


@dataclass(frozen=True)
class Affordable:
    """A target within a budget, after others."""

    name: str
    extra_gpu_hours: float
    """Beyond what the targets before it have made already."""
    together_gpu_hours: float
    """With all before it."""
    verifies: tuple[str, ...]
    """The paper's numbers that the targets before it do not verify."""


@dataclass(frozen=True)
class Part:
    """A model that can be asked for by its file."""

    file: str
    gpu_hours: float


@dataclass(frozen=True)
class Costs:
    """A planned study with everything it takes.

    Attributes:
        num_gpus: of the cluster.
        gpus_per_job: that a training may take at most, every other job takes one; null: what the study's `resources`
            say, and `DEFAULT_GPUS` where it has none.
    """

    graph: Graph
    targets: Targets
    rates: Rates
    num_gpus: int
    gpus_per_job: int | None = None

    @cached_property
    def work(self) -> list[Work | None]:
        """Of every job."""
        return [work_of(job, self.targets.study) for job in self.graph.jobs]

    @cached_property
    def gpu_seconds(self) -> list[float]:
        """Of every job on one GPU."""
        return [self.rates.seconds(work) if work else 0.0 for work in self.work]

    @cached_property
    def gpus(self) -> list[int]:
        """That every job takes; trainings are spread evenly, which is assumed to cost nothing."""
        return [
            min(self._wanted(job), self.num_gpus) if work and work.spreads else 1
            for job, work in zip(self.graph.jobs, self.work, strict=True)
        ]

    def _wanted(self, job: Job) -> int:
        """GPUs of a training."""
        study = self.targets.study
        if self.gpus_per_job is not None or not study.resources:
            return self.gpus_per_job or DEFAULT_GPUS
        kind = TRAINING_RULES[job.rule]
        return resources_of(study, kind.kind, job.wildcards.get(kind.wildcard, "all")).processes

    @cached_property
    def seconds(self) -> list[float]:
        """Of every job on its GPUs."""
        return [total / gpus for total, gpus in zip(self.gpu_seconds, self.gpus, strict=True)]

    @cached_property
    def storage(self) -> list[Storage]:
        """Of every job."""
        return [storage_of(job, self.targets.study) for job in self.graph.jobs]

    def gpu_hours(self, jobs: Iterable[int]) -> float:
        """Of some jobs."""
        return sum(self.gpu_seconds[number] for number in jobs) / 3600

    def stored(self, jobs: Iterable[int]) -> Storage:
        """By some jobs."""
        chosen = [self.storage[number] for number in jobs]
        return Storage(sum(each.size for each in chosen), sum(each.files for each in chosen))

    def wall_hours(self, jobs: Iterable[int] | None = None) -> float:
        """Of some jobs on the cluster; null: of all."""
        if jobs is None:
            graph, numbers = self.graph, list(range(len(self.graph.jobs)))
        else:
            numbers = sorted(jobs)
            graph = Graph(tuple(self.graph.jobs[number] for number in numbers))
        seconds, gpus = [self.seconds[number] for number in numbers], [self.gpus[number] for number in numbers]
        return wall_seconds(graph, seconds, gpus, self.num_gpus) / 3600

    def by_rule(self) -> list[RuleCost]:
        """Every rule with its jobs, the most expensive first."""
        rules: dict[str, list[int]] = {}
        for number, job in enumerate(self.graph.jobs):
            rules.setdefault(job.rule, []).append(number)
        costs = [
            RuleCost(
                rule,
                len(jobs),
                self.gpu_hours(jobs),
                max(self.seconds[number] for number in jobs) / 3600,
                self.stored(jobs),
            )
            for rule, jobs in rules.items()
        ]
        return sorted(costs, key=lambda cost: (-cost.gpu_hours, -cost.storage.size, cost.rule))

    def by_target(self, paper: Paper) -> list[TargetCost]:
        """Every target of the study that this plan reaches, the cheapest first."""
        costs = []
        for name in available(self.targets):
            files = target_files(self.targets, name)
            if not set(files) <= self.graph.maker.keys():
                continue
            jobs = self.graph.behind(files)
            costs.append(
                TargetCost(
                    name,
                    len(jobs),
                    self.gpu_hours(jobs),
                    self.wall_hours(jobs),
                    self.stored(jobs),
                    tuple(dict.fromkeys(verified_numbers(self.targets, name, paper))),
                )
            )
        return sorted(costs, key=lambda cost: (cost.gpu_hours, cost.name))

    def affordable(self, found: Sequence[TargetCost], budget: float) -> list[Affordable]:
        """Targets that fit together, most new numbers per hour first; what two of them share is paid once."""
        jobs = {each.name: self.graph.behind(target_files(self.targets, each.name)) for each in found}
        waiting = {each.name: each for each in found}
        chosen: list[Affordable] = []
        made: frozenset[int] = frozenset()
        known: set[str] = set()
        while True:
            spent = self.gpu_hours(made)
            extra = {name: self.gpu_hours(jobs[name] - made) for name in waiting}
            fitting = [name for name in waiting if spent + extra[name] <= budget]
            if not fitting:
                return chosen
            new = {name: [number for number in waiting[name].verifies if number not in known] for name in fitting}
            # Almost nothing is not free, so that among such targets the richest comes first.
            name = min(fitting, key=lambda name: (-len(new[name]) / max(extra[name], 0.01), extra[name], name))
            chosen.append(Affordable(name, extra[name], spent + extra[name], tuple(new[name])))
            made |= jobs[name]
            known |= set(new[name])
            del waiting[name]

    def parts(self, budget: float) -> list[Part]:
        """Models whose training, with everything behind it, fits into a budget; the most expensive first."""
        found = []
        for job in self.graph.jobs:
            if job.rule.startswith("train_"):
                hours = self.gpu_hours(self.graph.behind(job.outputs))
                if hours <= budget:
                    found.append(Part(job.outputs[0], hours))
        return sorted(found, key=lambda part: (-part.gpu_hours, part.file))

    def own_hours(self, paper: Paper) -> list[OwnHours]:
        """The paper's variants whose training hours it states, with what they take here."""
        found = []
        for row in self._variant_rows():
            table, _, variant = str(row.paper).partition("/")
            card = f"training_cost/{variant}{'-512' if table == 'table2' else ''}"
            if card.partition("/")[2] not in paper.rows("training_cost"):
                continue
            stated = paper.value(card, "a100_40g_hours")
            trained = [(number, job) for number, job in enumerate(self.graph.jobs) if job.rule.startswith("train_")]
            tokenizer = [number for number, job in trained if _is_of(job, "tokenizer", row.tokenizer)]
            generator = [number for number, job in trained if _is_of(job, "generator", row.generator)]
            if stated and tokenizer:
                hours = self.gpu_hours(tokenizer), self.gpu_hours(generator)
                found.append(OwnHours(variant, *hours, stated.value))
        return found

    def _variant_rows(self) -> Iterator[Row]:
        tables = self.targets.study.reporting.tables
        for table in (tables.table1, tables.table2):
            yield from (row for row in (table.rows if table else ()) if row.paper and row.staged_tokenizer)


def _is_of(job: Job, wildcard: str, name: str | None) -> bool:
    return name is not None and job.wildcards.get(wildcard) == name
