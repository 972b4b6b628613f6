"""Speed as a score of its own: one job per generator and sampler where the study asks, none where it does not.

Run: pytest tests/workflow/test_throughput_rule.py
"""

from __future__ import annotations

import pytest
from config.studies import changed, tiny_document
from workflow.sandbox import Sandbox

pytestmark = pytest.mark.workflow


def test_speed_is_measured_in_every_sitting_per_generator_and_sampler(empty: Sandbox) -> None:
    empty.write_study(changed(tiny_document(), "throughput", {"batch_size": 8, "sittings": 2}))
    plan = empty.plan()
    pairs = [(name, sampler) for name, entry in empty.targets.study.generators.items() for sampler in entry.samplers]
    root = "results/tiny/scores/throughput"
    assert plan.jobs("score_throughput") == {
        f"{root}/{name}/{sampler}/seed0-sitting{sitting}.json" for name, sampler in pairs for sitting in (0, 1)
    }
    table = empty.plan("results/tiny/tables/table1.md")
    assert table.jobs("score_throughput") == {
        f"{root}/b2-vit/two-steps/seed0-sitting{sitting}.json" for sitting in (0, 1)
    }


def test_studies_that_do_not_ask_measure_while_they_sample(empty: Sandbox) -> None:
    assert "score_throughput" not in empty.plan().rules
