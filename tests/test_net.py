"""Every job of every shipped study is told what it was told before; else it, and all that reads it, is done again.

What Snakemake plans for them is compared in tests/workflow/test_dry_run.py. Run: pytest tests/test_net.py
"""

from __future__ import annotations

from pathlib import Path

import net
import pytest


@pytest.mark.parametrize("name", net.STUDIES)
def test_no_job_is_told_anything_else(name: str) -> None:
    assert net.settings_digests(net.settings(net.STUDIES[name])) == net.golden()[name]["settings"], net.HOW


def test_the_net_holds_every_study() -> None:
    assert list(net.golden()) == list(net.STUDIES)


def test_what_moved_is_told() -> None:
    told = {"fingerprint": "1", "document": "steps: 3\nseed: 0\n"}
    old = {"a.yaml": {"settings": {"stage1/l2": told}, "graph": {"all": ["output: x\ntrain"], "gone": ["output: y"]}}}
    new = {
        "a.yaml": {
            "settings": {"stage1/l2": {**told, "document": "steps: 4\nseed: 0\n"}},
            "graph": {"all": ["output: x\ntrain"]},
        }
    }
    assert net.differences(old, old) == []
    assert [line for line in net.differences(old, new) if line[0] in "+-"] == [
        "--- old a.yaml rule gone",
        "+++ new a.yaml rule gone",
        "-output: y",
        "--- old a.yaml stage1/l2",
        "+++ new a.yaml stage1/l2",
        "-steps: 3",
        "+steps: 4",
    ]


def test_plans_are_read_as_snakemake_prints_them() -> None:
    said = (
        "rule train:\n    input: a, b\n    output: c\n    jobid: 1\nShell command: python -m titok train\n\n"
        f"localrule write:\n    output: {Path(net.ROOT)}/d\nShell command: None\n"
    )
    assert net.read_graph(said) == {
        "train": ["input: a, b\noutput: c\npython -m titok train"],
        "write": ["output: CHECKOUT/d\nNone"],
    }
