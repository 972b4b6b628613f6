"""The plan of the small study, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from workflow.sandbox import Sandbox

from titok.planning.graph import Graph, ask_snakemake


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A folder with the small study in which nothing was run."""
    return Sandbox.new(tmp_path_factory.mktemp("planning"))


@pytest.fixture(scope="session")
def tiny_graph(sandbox: Sandbox) -> Graph:
    """Every job of it."""
    return ask_snakemake(Path("tiny.yaml"), ["paper"], folder=sandbox.folder)
