"""Snakemake's dry run as a graph of jobs.

Run: pytest tests/planning/test_graph.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
from planning.graphs import job
from workflow.sandbox import Sandbox

from titok.config.paper_targets import target_files
from titok.planning.graph import Graph, PlanError, ask_snakemake, read_plan

TEXT = """\
host: somewhere
Building DAG of jobs...

[Sat Nov 21 07:21:09 2026]
rule train_stage1:
    input: results/t/configs/stage1/l.yaml, results/t/data/train.index.npz
    output: results/t/tokenizers/l/seed0/stage1/model.safetensors, results/t/tokenizers/l/seed0/stage1/config.json
    log: logs/t/x.log
    jobid: 5
    reason: Forced execution
    wildcards: study=t, tokenizer=l, seed=0
    resources: tmpdir=/tmp
[Sat Nov 21 07:21:09 2026]
localrule write_config:
    output: results/t/configs/stage1/l.yaml
    jobid: 6
    wildcards: study=t, kind=stage1, name=l
[Sat Nov 21 07:21:09 2026]
rule table1:
    input: results/t/tokenizers/l/seed0/stage1/model.safetensors
    jobid: 0
"""


def test_jobs_are_read_with_files_and_wildcards() -> None:
    graph = read_plan(TEXT)
    assert [job.rule for job in graph.jobs] == ["train_stage1", "write_config"], "targets are no jobs"
    assert graph.jobs[0].wildcards == {"study": "t", "tokenizer": "l", "seed": "0"}
    assert graph.jobs[0].inputs[1] == "results/t/data/train.index.npz"
    assert graph.jobs[1].inputs == ()
    assert graph.before == [frozenset({1}), frozenset()]


def test_what_stands_behind_a_file() -> None:
    graph = Graph((job("a"), job("b", "a", "outside"), job("c"), job("d", "b", "c")))
    assert graph.behind(["b"]) == {0, 1}
    assert graph.behind(["d"]) == {0, 1, 2, 3}
    assert graph.behind(["outside"]) == frozenset()


def test_the_graph_is_what_snakemake_plans(sandbox: Sandbox, tiny_graph: Graph) -> None:
    assert set(sandbox.targets.everything()) <= tiny_graph.maker.keys()
    behind = [tiny_graph.jobs[number] for number in tiny_graph.behind(target_files(sandbox.targets, "table3b"))]
    assert [job.wildcards["generator"] for job in behind if job.rule == "train_generator"] == ["b2-vit"]
    assert not sandbox.results.exists()


def test_only_what_is_missing(sandbox: Sandbox, tmp_path: Path) -> None:
    again = Sandbox.new(tmp_path)
    done = again.snakemake("--cores", 1, "results/tiny/data/train.index.npz")
    assert done.status == 0, done.said
    graph = ask_snakemake(Path("tiny.yaml"), ["paper"], folder=again.folder, remaining=True)
    rules = {job.rule for job in graph.jobs}
    assert "prepare_data" not in rules
    assert "train_stage1" in rules


def test_what_snakemake_says_is_told(sandbox: Sandbox) -> None:
    with pytest.raises(PlanError, match="the study 'tiny' has no model_zoo"):
        ask_snakemake(Path("tiny.yaml"), ["model_zoo"], folder=sandbox.folder)
    with pytest.raises(PlanError, match=r"nowhere\.yaml: no such file"):
        ask_snakemake(Path("nowhere.yaml"), ["paper"], folder=sandbox.folder)
