"""The workflow's rules that train, one for each place where models lie; all are one rule, written once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from titok.config.job import ALL
from titok.config.jobs import KINDS
from titok.config.rows import PROXY_TOKENIZER
from titok.config.study import Study
from titok.config.training_jobs import ReconstructingJob, TrainingJob, VQGANJob


class TrainingRule(NamedTuple):
    """What the rules differ in."""

    name: str
    """`train_stage1`, as Slurm profiles call it."""
    kind: type[TrainingJob]
    folder: str
    """Of a model, below `results/{study}`, with its wildcards: `tokenizers/{tokenizer}/seed{seed}/stage1`."""

    @property
    def job(self) -> str:
        """Name of a job, a wildcard where the rule has several."""
        wildcard = f"{{{self.kind.wildcard}}}"
        return wildcard if wildcard in self.folder else ALL

    @property
    def log(self) -> str:
        """Of a job's log, below `logs/{study}` and without ending: `train_stage1/{tokenizer}-seed{seed}`."""
        wildcards = re.findall(r"(?:seed)?{\w+}", self.folder)
        return "/".join([self.name, *(["-".join(wildcards)] if wildcards else [])])

    @property
    def has_own_seed(self) -> bool:
        """Whether models of this kind lie in folders without a seed, so that somebody must say it."""
        return any("{seed}" not in rule.folder for rule in training_rules() if rule.kind is self.kind)

    @property
    def scores_itself(self) -> bool:
        """Whether it may score reconstructions at milestones."""
        return issubclass(self.kind, ReconstructingJob)

    def names(self, study: Study) -> list[str]:
        """Names of its jobs in a study."""
        return [name for name in self.kind.names(study) if (name == ALL) == (self.job == ALL)]


def training_rules() -> Iterator[TrainingRule]:
    """All of them; the kind `vqgan` has two, for a study's VQGAN is one for all seeds, and baselines are not."""
    yield TrainingRule("train_vqgan", VQGANJob, PROXY_TOKENIZER)
    for kind in KINDS:
        if issubclass(kind, TrainingJob):
            name = "train_baseline" if kind is VQGANJob else f"train_{kind.kind}"
            yield TrainingRule(name, kind, kind.folder.replace("{kind}", kind.kind))
