"""Costs of a whole plan: rules, targets, budgets, and the paper's own hours.

Run: pytest tests/planning/test_costs.py
"""

from __future__ import annotations

import dataclasses
from functools import cache

import pytest
from config.studies import ROOT, changed, study_of, tiny_document
from workflow.sandbox import Sandbox

from titok.config.load import load_study
from titok.config.paper_targets import available
from titok.config.targets import Targets
from titok.planning.costs import Costs
from titok.planning.covered import verified_numbers
from titok.planning.device_rates import CoreRate
from titok.planning.graph import Graph, Job
from titok.planning.show import hours, make_report, markdown, size
from titok.planning.storage import SMALL_FILE, storage_of
from titok.planning.work import Work
from titok.reporting.paper import Paper, read_paper


class OneHourEach:
    """Rates by which every job that computes takes an hour on one GPU."""

    unit = "GPU"
    source = "Made up."

    def seconds(self, work: Work) -> float:
        return 3600.0


@cache
def paper() -> Paper:
    return read_paper(ROOT / "config" / "paper.csv")


@pytest.fixture(scope="module")
def costs(sandbox: Sandbox, tiny_graph: Graph) -> Costs:
    return Costs(tiny_graph, sandbox.targets, OneHourEach(), num_gpus=4, gpus_per_job=2)


def test_rules_add_up(costs: Costs) -> None:
    rules = costs.by_rule()
    assert sum(cost.jobs for cost in rules) == len(costs.graph.jobs)
    assert sum(cost.gpu_hours for cost in rules) == pytest.approx(costs.gpu_hours(range(len(costs.graph.jobs))))
    stage1 = next(cost for cost in rules if cost.rule == "train_stage1")
    assert (stage1.jobs, stage1.gpu_hours, stage1.longest_hours) == (4, 4.0, 0.5), "two GPUs share a training"
    assert {cost.rule for cost in rules if cost.gpu_hours == 0} >= {"write_config", "make_table", "prepare_data"}


def test_resources_of_the_study_say_how_many_gpus_share_a_training(tiny_graph: Graph) -> None:
    document = changed(tiny_document(), "resources", {"stage1": {"nodes": 2, "gpus": 2}, "stage1/s2": {"nodes": 1}})
    costs = Costs(tiny_graph, Targets(study_of(document)), OneHourEach(), num_gpus=8)
    taken = {
        (job.rule, job.wildcards.get("tokenizer")): gpus for job, gpus in zip(tiny_graph.jobs, costs.gpus, strict=True)
    }
    assert taken["train_stage1", "s1"] == 4
    assert taken["train_stage1", "s2"] == 2
    assert taken["train_stage2", "b2-final"] == 1
    silent = Targets(study_of(changed(tiny_document(), "resources", {})))
    assert max(Costs(tiny_graph, silent, OneHourEach(), num_gpus=64).gpus) == 8
    assert max(Costs(tiny_graph, silent, OneHourEach(), num_gpus=64, gpus_per_job=32).gpus) == 32


def test_targets_cost_what_stands_behind_them(costs: Costs) -> None:
    found = {cost.name: cost for cost in costs.by_target(paper())}
    assert set(found) == set(available(costs.targets))
    # Judge and critic, VQGAN, two stages, tokens, generator, samples, score.
    assert found["table3b"].gpu_hours == 9
    assert found["table4b"].gpu_hours < found["table4"].gpu_hours < found["paper"].gpu_hours
    assert found["paper"].gpu_hours == pytest.approx(costs.gpu_hours(range(len(costs.graph.jobs))))
    assert found["paper"].gpu_hours / 4 <= found["paper"].wall_hours <= found["paper"].gpu_hours
    assert found["table3b"].verifies == ("table3b/mask-schedule-arccos gfid",)


def test_a_budget_buys_new_numbers_and_pays_shared_jobs_once(costs: Costs) -> None:
    targets = costs.by_target(paper())
    bought = costs.affordable(targets, 12)
    assert 9 <= bought[-1].together_gpu_hours <= 12
    assert bought[-1].together_gpu_hours == pytest.approx(sum(each.extra_gpu_hours for each in bought))
    assert bought[0].verifies
    numbers = [number for each in bought for number in each.verifies]
    assert len(numbers) == len(set(numbers))
    everything = costs.affordable(targets, 1000)
    assert {each.name for each in everything} == {cost.name for cost in targets}
    assert everything[-1].together_gpu_hours == pytest.approx(costs.gpu_hours(range(len(costs.graph.jobs))))
    assert costs.affordable(targets, 0.5) == []


def test_settings_and_unsure_numbers_verify_nothing() -> None:
    targets = Targets(load_study(ROOT / "config" / "imagenet256.yaml"))
    numbers = list(verified_numbers(targets, "table1", paper()))
    assert "table1/titok-l-32 gfid" in numbers
    assert "table1/titok-l-32 num_steps" not in numbers
    assert "table1/titok-s-128-8steps gfid" not in numbers, "recalled, never confirmed"
    assert not any("dit-xl" in number for number in numbers), "cited, not made here"
    assert list(verified_numbers(targets, "table4b", paper())) == [], "the paper's numbers are not known"
    assert len(list(verified_numbers(targets, "table4a", paper()))) == 21
    assert list(verified_numbers(targets, "training_curves", paper())) == []


def test_models_data_and_samples_fill_the_disk() -> None:
    study = load_study(ROOT / "config" / "imagenet256.yaml")

    def stored(rule: str, **wildcards: str) -> float:
        return storage_of(Job(rule, (), ("file",), {"seed": "42", **wildcards}), study).size

    # 83,674,639 parameters (specification 1.1): weights, and two checkpoints of 16 bytes each.
    assert stored("train_stage2", tokenizer="s-128") == pytest.approx(83_674_639 * 36, rel=1e-3)
    assert stored("train_generator", generator="l-32-vit") == pytest.approx(177_202_432 * 36, rel=1e-3)
    assert stored("extract_tokens", tokenizer="l-32", stage="stage2") == pytest.approx(2 * 1_281_167 * 2 * 32, rel=1e-3)
    assert stored("sample_generator", generator="l-32-vit", sampler="l-32") == pytest.approx(
        50_000 * 3 * 256**2, rel=1e-3
    )
    assert stored("merge_data", split="train") == pytest.approx(147.9e9, rel=1e-3)
    assert stored("adopt_vqgan") == pytest.approx(54_515_587 * 4, rel=0.01)
    assert storage_of(Job("merge_data", (), ("file",), {"split": "train"}), study).files == 1 + 321


def test_probes_of_hard_and_soft_rows_fill_it_too() -> None:
    study = load_study(ROOT / "config" / "hard_soft.yaml")

    def features(tokenizer: str) -> float:
        rows = storage_of(Job("score_probe", (), ("file",), {"tokenizer": tokenizer, "seed": "0"}), study).size
        return (rows - SMALL_FILE) / (4 * 1297)  # one view of each of the 1,797 digits but 500

    assert features("titok-8") == 8 * 8, "tokens x code_dim, one after the other"
    assert features("vqgan-16") == 16 * 16, "places x code_dim of a 2D VQGAN"
    assert features("lite0-1") == 1280, "the network's width"


def test_the_report_reads_well(costs: Costs) -> None:
    report = make_report(costs, paper(), "paper", 12.0, is_remaining=False)
    text = markdown(report)
    assert "Study tiny, all of paper" in text
    assert "Made up." in text
    assert "| train_stage1 " in text
    assert "fits into 12 GPU-hours" in text
    assert "in the paper (A100 40 GB)" in text, "the VQGAN's study has a row of TiTok-B-64"
    plain = report.as_dict()
    assert plain["num_jobs"] == len(costs.graph.jobs)
    assert [own["variant"] for own in plain["own_hours"]] == ["titok-b-64"]
    assert plain["own_hours"][0]["paper_hours"] == 1312
    nothing = markdown(make_report(costs, paper(), "paper", 0.1, is_remaining=True))
    assert "what is missing of paper" in nothing
    assert "No target fits into 0.1 GPU-hours" in nothing
    assert "parts of it" not in nothing, "not even one model"
    assert "titok plan --config config/published.yaml" in nothing


def test_a_computer_without_a_gpu_has_core_hours(costs: Costs) -> None:
    """The only rate is what its user says; the paper's hours are of GPUs."""
    slow, fast = (
        dataclasses.replace(costs, rates=CoreRate(gflops), num_gpus=2, gpus_per_job=1) for gflops in (1.0, 2.0)
    )
    everything = range(len(costs.graph.jobs))
    assert slow.gpu_hours(everything) == pytest.approx(2 * fast.gpu_hours(everything))
    text = markdown(make_report(slow, paper(), "paper", 1000.0, is_remaining=False))
    assert "hours on 2 cores" in text
    assert "fits into 1000 core-hours" in text or "No target fits into 1000 core-hours" in text
    assert "GPU" not in text


def test_a_budget_too_small_for_any_target_still_buys_models(costs: Costs) -> None:
    """An hour per job: a classifier takes one; the cheapest target more than three."""
    report = make_report(costs, paper(), "paper", 1.0, is_remaining=False)
    assert {part.gpu_hours for part in report.parts} == {1.0}
    assert "results/tiny/classifiers/critic/model.safetensors" in [part.file for part in report.parts]
    text = markdown(report)
    assert "No target fits into 1 GPU-hours" in text
    assert "`results/tiny/classifiers/critic/model.safetensors` (1.00)" in text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.001, "< 0.01"), (1.234, "1.23"), (56.78, "56.8"), (1234.5, "1 234")]
)
def test_hours_have_three_digits(value: float, text: str) -> None:
    assert hours(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(5e3, "5 kB"), (2.5e6, "2.5 MB"), (1.5e11, "150 GB"), (1.07e12, "1.07 TB")]
)
def test_sizes_have_units(value: float, text: str) -> None:
    assert size(value) == text
