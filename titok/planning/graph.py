"""The jobs behind a study's targets, as Snakemake plans them: asked of Snakemake itself, so that nothing can drift."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from titok.config.rows import PROXY_TOKENIZER
from titok.errors import TitokError

SNAKEFILE = Path(__file__).parents[2] / "Snakefile"

_JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", re.MULTILINE)
_LAST_LINES = 12


class PlanError(TitokError):
    """A study that cannot be planned."""


@dataclass(frozen=True)
class Job:
    """One job: its rule, files read and written, what its wildcards stand for, and where it says how it is going."""

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    wildcards: Mapping[str, str]
    logs: tuple[str, ...] = ()

    @property
    def tokenizer(self) -> str:
        """Which tokenizer a job is about, if it is about one: rules without that wildcard are about the 2D VQGAN."""
        return self.wildcards.get("tokenizer", PROXY_TOKENIZER)


@dataclass(frozen=True)
class Graph:
    """Jobs in no particular order; a target's own empty job is not among them."""

    jobs: tuple[Job, ...]

    @cached_property
    def maker(self) -> dict[str, int]:
        """File -> the number of the job that writes it."""
        return {path: number for number, job in enumerate(self.jobs) for path in job.outputs}

    @cached_property
    def before(self) -> list[frozenset[int]]:
        """For every job, the jobs whose files it reads."""
        return [frozenset(self.maker[path] for path in job.inputs if path in self.maker) for job in self.jobs]

    def behind(self, files: Iterable[str]) -> frozenset[int]:
        """Every job that must run, so that ``files`` are there."""
        found: set[int] = set()
        waiting = [self.maker[path] for path in files if path in self.maker]
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting.extend(self.before[number])
        return frozenset(found)


def ask_snakemake(
    study_file: Path, targets: Sequence[str], *, folder: Path | None = None, remaining: bool = False
) -> Graph:
    """The jobs that Snakemake would run in ``folder`` (null: here) for ``targets``.

    ``remaining``: only those whose results are not there yet; otherwise all, as on an empty disk.

    Raises:
        PlanError: with what Snakemake said.
    """
    return finish(start_snakemake(study_file, targets, folder=folder, remaining=remaining))


def start_snakemake(
    study_file: Path, targets: Sequence[str], *, folder: Path | None = None, remaining: bool = False
) -> subprocess.Popen[str]:
    """Starts planning; `finish` waits for it. It takes seconds, in which others can work."""
    # As --configfile: what --config says is read as YAML, in which a file called 12 is a number.
    # A missing one is left to --config, for there the workflow itself says so, in a sentence.
    named = (folder or Path()).absolute() / study_file
    how = ["--configfile", str(named)] if named.exists() else ["--config", f"study={study_file}"]
    line = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), "--directory", ".", "--dry-run"]
    line += ["--nolock", *([] if remaining else ["--forceall"]), *targets, *how]
    return subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen[str]) -> Graph:
    """The jobs; raises `PlanError` if Snakemake could not plan."""
    said, _ = process.communicate()
    if process.returncode:
        last = "\n".join(line for line in said.splitlines() if line.strip()).splitlines()[-_LAST_LINES:]
        raise PlanError("Snakemake cannot plan this:\n" + "\n".join(last))
    return read_plan(said)


def read_plan(text: str) -> Graph:
    """The jobs in the output of a dry run; jobs without outputs (targets) are left out."""
    jobs = []
    for rule, block in _JOB.findall(text):
        outputs = _entry(block, "output")
        if outputs:
            wildcards = dict(pair.split("=", 1) for pair in _entry(block, "wildcards"))
            jobs.append(Job(rule, _entry(block, "input"), outputs, wildcards, _entry(block, "log")))
    return Graph(tuple(jobs))


def _entry(block: str, name: str) -> tuple[str, ...]:
    found = re.search(rf"^    {name}: (.*)$", block, re.MULTILINE)
    return tuple(found.group(1).split(", ")) if found else ()
