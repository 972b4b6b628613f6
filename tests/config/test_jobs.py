"""What single jobs read: a changed setting reaches exactly the jobs it concerns.

Run: pytest tests/config/test_jobs.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config.studies import TINY, changed, study_of, tiny_document

from titok.config.job import ALL
from titok.config.jobs import job, job_names
from titok.config.load import dump_yaml, load_job, load_study, merge
from titok.config.measuring_jobs import FloorJob, QuantizedJob, ScoreJob
from titok.config.study import Study
from titok.config.targets import Targets


def fingerprints(study: Study) -> dict[tuple[str, str], str]:
    targets = Targets(study)
    return {(kind, name): targets.settings(kind, name) for kind, name in job_names(study)}


STAGE2 = tiny_document()["tokenizers"]["b2-final"]["stage2"]
BEFORE = fingerprints(study_of(tiny_document()))

CHANGES: dict[str, tuple[str, Any, set[tuple[str, str]]]] = {
    "one tokenizer's codebook, and the generator on it": (
        "tokenizers.s2.codebook_size",
        32,
        {("stage1", "s2"), ("generator", "s2-uvit")},
    ),
    "one tokenizer's stage 1, nothing of its generator": (
        "tokenizers.s2.stage1",
        {"training": {"steps": 31}},
        {("stage1", "s2")},
    ),
    "one tokenizer's stage 2": (
        "tokenizers.b2-final.stage2",
        {**STAGE2, "training": {"steps": 9, "schedule": {"warmup_steps": 2}}},
        {("stage2", "b2-final")},
    ),
    "a size": (
        "sizes.s.mlp_ratio",
        3,
        {("stage1", "s1"), ("stage1", "s2")},
    ),
    "the VQGAN's training": ("vqgan.training.steps", 21, {("vqgan", "all")}),
    "the VQGAN's size reaches the two-stage tokenizers that hold its decoder, and the generator on its codes": (
        "vqgan.model.codebook_size",
        32,
        {
            ("vqgan", "all"),
            ("stage1", "s1"),
            ("stage1", "s2"),
            ("stage1", "b2-final"),
            ("stage2", "b2-final"),
            ("generator", "maskgit"),
        },
    ),
    "a baseline": ("baselines.b2d.training.steps", 6, {("vqgan", "b2d")}),
    "a classifier": ("classifiers.critic.training.steps", 61, {("classifier", "critic")}),
    "a generator": ("generators.b2-vit.mask_schedule", "cosine", {("generator", "b2-vit")}),
    "a sampler": ("samplers.unguided.num_steps", 1, {("sample", "unguided")}),
    "the views": ("token_views.random_crops", 3, {("tokens", "all")}),
    "the probe": ("probe.steps", 21, {("probe", "all")}),
    "how scores are made": ("evaluation.rounding", "truncate", {("score", "all"), ("score", "reconstructions")}),
    "how many samples are scored": (
        "evaluation.num_samples",
        90,
        {("score", "all"), ("score", "samples"), *(("sample", name) for name in tiny_document()["samplers"])},
    ),
    "a metric more": (
        "evaluation.mind",
        {"directions": 8},
        {("score", "all"), ("score", "samples"), ("score", "reconstructions")},
    ),
    "images at once": ("evaluation.batch_size", 25, set()),
    "how often a training saves": ("classifiers.critic.training.checkpoint_seconds", 7, set()),
    "how many checkpoints it keeps": ("vqgan.training.keep_checkpoints", 5, set()),
    "a plot option": ("reporting.figure_dpi", 200, set()),
    "a table's rows": ("reporting.tables.table3b.rows", [], set()),
    "a label": ("reporting.figures.figure2", [], set()),
    "a check": ("reporting.checks.min_codebook_usage", 0.5, set()),
    "the title": ("title", "Another title", set()),
    "more seeds": ("tokenizers.s2.seeds", [0, 1], set()),
}


@pytest.mark.parametrize(("key", "value", "concerned"), CHANGES.values(), ids=CHANGES.keys())
def test_a_change_reaches_the_jobs_it_concerns_and_no_others(
    key: str, value: object, concerned: set[tuple[str, str]]
) -> None:
    after = fingerprints(study_of(changed(tiny_document(), key, value)))
    assert after.keys() == BEFORE.keys()
    assert {name for name in after if after[name] != BEFORE[name]} == concerned


def test_spelling_out_a_default_changes_nothing() -> None:
    document = changed(tiny_document(), "tokenizers.s2.use_l2_norm", True)
    assert fingerprints(study_of(document)) == BEFORE


def test_the_dataset_reaches_every_job_that_sees_images() -> None:
    after = fingerprints(study_of(changed(tiny_document(), "dataset.split_seed", 1)))
    same = {kind for kind, name in after if after[kind, name] == BEFORE[kind, name]}
    assert same == {"generator", "sample"}, "these read tokens, whose file changes"


def test_stored_views_reach_their_extraction_and_every_stage1() -> None:
    before = fingerprints(study_of(changed(tiny_document(), "proxy_codes", {})))
    after = fingerprints(study_of(changed(tiny_document(), "proxy_codes", {"views": {"mirrored": True}})))
    concerned = {name for name in after if after[name] != before[name]}
    assert concerned == {("codes", "all"), *(name for name in after if name[0] == "stage1")}
    assert before.keys() - BEFORE.keys() == {("codes", "all")}


def test_jobs_hold_what_their_name_says() -> None:
    study = load_study(TINY)
    stage1, stage2 = (job(study, stage, "b2-final").resolved() for stage in ("stage1", "stage2"))
    assert (stage1["model"]["head"], stage1["model"]["pixel_lookup"]) == ("proxy_codes", "argmax")
    assert (stage2["model"]["head"], stage2["model"]["pixel_lookup"]) == ("proxy_codes", "soft")
    assert stage1["model"]["encoder"] == study.sizes["b"].resolved()
    single = job(study, "single_stage", "b2-single").resolved()["model"]
    assert (single["head"], single["vqgan"]) == ("pixels", None)
    generator = job(study, "generator", "s2-uvit").resolved()["model"]
    assert (generator["num_tokens"], generator["codebook_size"], generator["num_classes"]) == (2, 16, 10)
    assert job(study, "sample", "unguided").resolved()["sampler"]["guidance_scale"] == 0.0


def test_milestones_do_without_the_slow_metrics() -> None:
    """So that asking for one trains nothing again."""
    stage1 = tiny_document()["defaults"]["tokenizer"]["stage1"]
    training = stage1["training"] | {"milestone_images": 70, "milestone_steps": 5}
    document = changed(tiny_document(), "defaults.tokenizer.stage1", stage1 | {"training": training})
    later = {"mind": {"directions": 8}, "density_coverage": {"neighbours": 2}, "kid": {"subset_size": 20}}
    later |= {"encoders": {"dinov2": {"model": "vit_base_patch14_dinov2", "label": "DINOv2", "weights": "absent"}}}
    asked = changed(document, "evaluation", document["evaluation"] | later)
    found = job(study_of(asked), "stage1", "s2")
    assert found.evaluation is not None
    assert found == job(study_of(document), "stage1", "s2")


def test_job_names_list_every_stage_once() -> None:
    names = list(job_names(load_study(TINY)))
    assert len(names) == len(set(names))
    assert {name for kind, name in names if kind == "stage2"} == {"b2-final"}
    assert {name for kind, name in names if kind == "single_stage"} == {"b2-single", "b-2d"}
    assert ("vqgan", "all") in names


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("stage3", "s2", "no kind of job is called 'stage3'"),
        ("stage2", "s2", "'s2' has no stage2"),
        ("single_stage", "s2", "has no single_stage"),
        ("stage1", "nobody", "nobody"),
    ],
)
def test_jobs_that_do_not_exist(kind: Any, name: str, words: str) -> None:
    with pytest.raises(KeyError, match=words):
        job(load_study(TINY), kind, name)


def test_a_jobs_values_are_either_decisive_or_operational() -> None:
    """What Snakemake compares and what jobs are told beside it are together everything."""
    study = study_of(changed(tiny_document(), "evaluation.batch_size", 25))
    for kind, name in job_names(study):
        settings = job(study, kind, name)
        assert merge(settings.identity(), settings.execution()) == settings.resolved()
    assert job(study, "sample", "two-steps").execution() == {"batch_size": 25}
    assert job(study, "stage1", "s2").execution() == {"training": {"checkpoint_seconds": 300, "keep_checkpoints": 2}}
    assert job(study, "data", "all").execution() == {}


def test_freshly_drawn_windows_depend_on_how_many_are_drawn_at_once() -> None:
    fresh = changed(tiny_document(), "probe.views", None)
    before, after = (fingerprints(study_of(changed(fresh, "evaluation.batch_size", size))) for size in (50, 25))
    assert {name for name in after if after[name] != before[name]} == {("probe", "all")}


def test_older_documents_are_told_how_to_run_now(tmp_path: Path) -> None:
    study, path = load_study(TINY), tmp_path / "score.yaml"
    path.write_text(dump_yaml(job(study, "score", "samples")))
    assert load_job(path, ScoreJob).evaluation.batch_size == 50
    read = load_job(path, ScoreJob, {"evaluation": {"batch_size": 7}})
    assert read.evaluation.batch_size == 7
    assert read.identity() == job(study, "score", "samples").identity()


def test_all_that_is_beside_reconstructions_sees_the_same_images() -> None:
    study = load_study(Path(__file__).parents[2] / "config" / "hard_soft.yaml")
    other = study.model_copy(update={"evaluation": study.evaluation.model_copy(update={"resize_rule": "none"})})
    assert study.dataset.resize_rule != "none"
    floor = next(iter(study.floors))
    jobs = ScoreJob.of(other, "reconstructions"), FloorJob.of(other, floor), QuantizedJob.of(other, ALL)
    assert [told.dataset.resize_rule for told in jobs] == ["none", "none", "none"]
