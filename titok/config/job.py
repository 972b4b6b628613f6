"""What every kind of job is: a document that holds everything one verb needs to know, and nothing else.

A kind is one class: its settings are fields, and it says what jobs of its kind a study has (`names`) and what each is
told (`of`). All kinds stand in ``titok.config.jobs``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Annotated, ClassVar, Self

from titok.config.section import Neutral, Section
from titok.config.study import Study
from titok.runtime.arithmetic import Arithmetic

ALL = "all"
"""Name of a job where a study has only one of its kind."""


class Job(Section):
    """One kind of job."""

    kind: ClassVar[str]
    """As in `titok resolve STUDY KIND NAME` and the study's `resources`."""
    section: ClassVar[str]
    """The study's section that its jobs are entries of, or that they are made of."""
    wildcard: ClassVar[str] = ""
    """The wildcard of its rules that is a job's name; rules without it have the job `all`."""
    is_training: ClassVar[bool] = False
    """Whether several processes can share it, and it goes on where it was stopped: `titok train KIND`."""
    computes: ClassVar[bool] = True
    """Whether it runs networks; others never need a GPU."""

    arithmetic: Annotated[Arithmetic, Neutral("native")] = "native"

    @classmethod
    def names(cls, study: Study) -> Iterable[str]:
        """Names of all jobs of this kind in a study; of most that have no wildcard, the one."""
        return (ALL,)

    @classmethod
    def place(cls, name: str) -> str:
        """Where the study says what the job of that name is."""
        return f"{cls.section}.{name}" if cls.wildcard and name != ALL else cls.section

    @classmethod
    @abstractmethod
    def of(cls, study: Study, name: str) -> Self:
        """What the job of that name is told; its arithmetic, which all jobs share, aside.

        Raises:
            KeyError: the study has no such job.
        """
