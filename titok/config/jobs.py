"""What single jobs read: each named thing of a study, resolved to every value it depends on and nothing else.

A job's document is written to ``results/{study}/configs/{kind}/{name}.yaml``; only a change of its identity (see
``titok.config.section``) makes its rule run again. That is why a plot option never retrains, one tokenizer's change
never touches another, and more images at once score nothing anew.
"""

from __future__ import annotations

from collections.abc import Iterator

from titok.config.alit_jobs import AlitStage1Job, AlitStage2Job
from titok.config.data_jobs import CodesJob, DataJob, ExternalTokensJob, TokensJob
from titok.config.job import Job
from titok.config.measuring_jobs import (
    CostsJob,
    ExternalJob,
    FloorJob,
    LengthsJob,
    ProbeJob,
    QuantizedJob,
    SampleJob,
    ScoreJob,
    ThroughputJob,
)
from titok.config.released_jobs import ReleasedGeneratorJob, ReleasedJob, ReleasedTokenizerJob, ReleasedVQGANJob
from titok.config.soft_jobs import SoftDecoderJob
from titok.config.study import Study
from titok.config.training_jobs import (
    ClassifierJob,
    GeneratorJob,
    SingleStageJob,
    Stage1Job,
    Stage2Job,
    VQGANJob,
)

KINDS: tuple[type[Job], ...] = (
    DataJob,
    ClassifierJob,
    VQGANJob,
    Stage1Job,
    Stage2Job,
    AlitStage1Job,
    AlitStage2Job,
    SoftDecoderJob,
    SingleStageJob,
    GeneratorJob,
    CodesJob,
    TokensJob,
    ExternalTokensJob,
    ReleasedVQGANJob,
    ReleasedTokenizerJob,
    ReleasedGeneratorJob,
    SampleJob,
    ScoreJob,
    ExternalJob,
    FloorJob,
    QuantizedJob,
    LengthsJob,
    ProbeJob,
    ThroughputJob,
    CostsJob,
)
"""Every kind of job: what a new one has to be added to."""

JOBS: dict[str, type[Job]] = {kind.kind: kind for kind in KINDS}

TRAININGS: tuple[str, ...] = tuple(kind.kind for kind in KINDS if kind.is_training)
"""Kinds that several processes can share, and that go on where they were stopped."""

COMPUTING: tuple[str, ...] = tuple(kind.kind for kind in KINDS if kind.computes)
"""Kinds that run networks; all others never need a GPU."""

ADOPTED: tuple[str, ...] = tuple(kind.adopts for kind in KINDS if issubclass(kind, ReleasedJob))
"""What released weights can take the place of."""


def job(study: Study, kind: str, name: str) -> Job:
    """The resolved settings of one job.

    Raises:
        KeyError: there is no such kind of job, or the study has nothing of that name.
    """
    if kind not in JOBS:
        raise KeyError(f"no kind of job is called {kind!r}; allowed: {', '.join(JOBS)}")
    return JOBS[kind].of(study, name).model_copy(update={"arithmetic": study.arithmetic})


def job_names(study: Study) -> Iterator[tuple[str, str]]:
    """(kind, name) of every job of a study; `all` where there is only one."""
    yield from ((kind.kind, name) for kind in KINDS for name in kind.names(study))
