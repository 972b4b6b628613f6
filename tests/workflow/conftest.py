"""One whole run of the small study, shared by all tests of it.

They are in one file, because `--dist=loadfile` keeps a file on one worker; pytest-xdist 3.8 does not group by its own
marker under pytest 9.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from config.studies import TINY
from workflow.sandbox import Sandbox

from titok.runtime.fork_server import ADDRESS


@pytest.fixture
def without_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """For one job or two: a process that imports everything before it forks takes longer than they do."""
    monkeypatch.setenv(ADDRESS, "off")


@pytest.fixture
def empty(tmp_path: Path) -> Sandbox:
    """A sandbox in which nothing was run yet."""
    return Sandbox.new(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The sandbox after `snakemake --cores 2`; tests leave it as it is."""
    sandbox = Sandbox.new(tmp_path_factory.mktemp("study"))
    done = sandbox.snakemake("--cores", 2, torch=True)
    assert done.status == 0, done.said[-5000:]
    return sandbox


@pytest.fixture
def edited(finished: Sandbox) -> Iterator[Sandbox]:
    """The finished sandbox, whose study file may be edited and is put back afterwards."""
    yield finished
    shutil.copyfile(TINY, finished.study_file)


@pytest.fixture
def copy(finished: Sandbox, tmp_path: Path) -> Sandbox:
    """A copy of the finished sandbox, for tests that break something."""
    return finished.copy(tmp_path / "copy")
