"""A job that takes over waits for the end of the whole old job, whose Snakemake deletes what did not finish.

The race of a takeover on one machine, on purpose: 20 pairs of real jobs. What a training and the Snakemake around it
do is played by a few lines without torch, so that many fit on the cluster at a time.

Run as root on Debian, after apt-get install slurm-wlm munge: pytest -m slurm tests/slurm/test_takeover.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from config.studies import ROOT
from slurm.cluster import Cluster, command, until

pytestmark = pytest.mark.slurm

OLD = """
import os, signal, sys, time
from pathlib import Path
from titok.runtime.ownership import give_back, take
folder, how, lag = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
told = []
signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
lock = take(folder / "owner.lock")
(folder / "old-works").touch()
while not told:
    time.sleep(0.02)
give_back(lock) if how == "saved" else os.close(lock)  # here the training has ended
time.sleep(lag)  # Snakemake notices, and deletes the outputs of a job that failed
(folder / "model").unlink(missing_ok=True)
"""
NEW = """
import sys
from pathlib import Path
from titok.runtime.ownership import give_back, take
folder = Path(sys.argv[1])
lock = take(folder / "owner.lock")
(folder / "model").write_text("new")
give_back(lock)
"""
PAIRS = 10
"""At a time; every job has a core to itself."""


def submit(name: str, code: str, *words: str) -> str:
    line = " ".join([f"exec {sys.executable} {code}", *words])
    options = ["-p", "gpu", "-c", "1", "--mem", "100", "-t", "5", "-o", "/dev/null", "--comment", name]
    return command("sbatch", "--parsable", *options, f"--export=ALL,PYTHONPATH={ROOT}", "--wrap", line).strip()


@pytest.mark.parametrize("how", ["saved", "killed"])
def test_nothing_of_the_new_job_is_deleted(cluster: Cluster, tmp_path: Path, how: str) -> None:
    for name, code in (("old.py", OLD), ("new.py", NEW)):
        (tmp_path / name).write_text(code)
    folders = [tmp_path / f"{pair}" for pair in range(PAIRS)]
    for folder in folders:
        folder.mkdir()
    names = [f"rule_train_stage1_wildcards_{folder.name}" for folder in folders]
    old = [
        submit(name, f"{tmp_path}/old.py", str(folder), how, f"{0.3 * pair:g}")
        for pair, (name, folder) in enumerate(zip(names, folders, strict=True))
    ]
    until(lambda: all((folder / "old-works").exists() for folder in folders), "all old jobs work", seconds=120)
    new = [submit(name, f"{tmp_path}/new.py", str(folder)) for name, folder in zip(names, folders, strict=True)]

    def states(jobs: list[str]) -> list[str]:
        return [cluster.job(job).state for job in jobs]

    active = {"PENDING", "RUNNING", "COMPLETING"}
    until(lambda: not active & {*states(old), *states(new)}, "all jobs have ended", seconds=180, pause=1)
    assert [folder.name for folder in folders if not (folder / "model").exists()] == [], "outputs were deleted"
    assert states(new) == ["COMPLETED"] * PAIRS
    assert states(old) == ["CANCELLED"] * PAIRS
