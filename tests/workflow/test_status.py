"""`titok status` asks the workflow itself what is left; without torch, and also while it runs.

Run: pytest tests/workflow/test_status.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from workflow.sandbox import Done, Sandbox

from titok.config.owner import write_owner

pytestmark = pytest.mark.workflow


def status(sandbox: Sandbox, *words: str) -> Done:
    line = [sys.executable, "-m", "titok", "status", *words]
    environment = sandbox.environment(torch=False)
    done = subprocess.run(line, cwd=sandbox.folder, env=environment, capture_output=True, text=True, check=False)
    return Done(done.returncode, done.stdout + done.stderr)


def test_before_the_first_job(empty: Sandbox) -> None:
    write_owner(empty.results, "tiny.yaml")
    done = status(empty, "results/tiny")
    assert done.status == 0, done.said
    number = sum(empty.plan().rules.values())
    assert done.said.startswith(f"0 of {number} jobs done, ")
    assert "later: " in done.said


def test_for_a_single_target(empty: Sandbox) -> None:
    write_owner(empty.results, "tiny.yaml")
    done = status(empty, "results/tiny", "--target", "table3b")
    assert " 1 make_table" in done.said
    assert "make_figure" not in done.said


def test_a_folder_without_results_is_told(empty: Sandbox, tmp_path: Path) -> None:
    done = status(empty, str(tmp_path))
    assert done.status == 1
    assert done.said.startswith("titok: OwnerError:")
    assert "no workflow has begun there" in done.said


def test_results_may_be_a_link_to_another_disk(empty: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> None:
    disk = tmp_path_factory.mktemp("disk")
    (empty.folder / "results").symlink_to(disk)
    write_owner(empty.results, "tiny.yaml")
    done = status(empty, "results/tiny")
    assert done.status == 0, done.said
    assert done.said.startswith("0 of ")
    lost = status(empty, str(disk / "tiny"))
    assert lost.status == 1
    assert "holds results of the study file tiny.yaml, which is not in" in lost.said
    assert "name the folder as it lies in the project (results/<study>)" in lost.said


@pytest.mark.parametrize("name", ["a: {b} & $(c)'.yaml", "12"])
def test_a_study_file_may_be_called_anything(empty: Sandbox, name: str) -> None:
    empty.study_file.rename(empty.folder / name)
    write_owner(empty.results, name)
    done = status(empty, "results/tiny", "--target", "table3b")
    assert done.status == 0, done.said
    assert " 1 make_table" in done.said
