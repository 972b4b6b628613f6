"""Work of jobs: every rule that computes is estimated, by the settings of its very job.

Run: pytest tests/planning/test_work.py
"""

from __future__ import annotations

import pytest
import torch
from config.studies import ROOT, changed, study_of, tiny_document

from titok.config.jobs import job
from titok.config.load import load_study
from titok.config.study_models import generator_model, tokenizer_model
from titok.models.flops import abstractly, count, generator_flops, tokenizer_parts
from titok.planning.graph import Graph, Job, PlanError
from titok.planning.work import INCEPTION_FLOPS, num_images, work_of
from titok.training.flops import stage1_step, step_of_job

STUDY = load_study(ROOT / "config" / "imagenet256.yaml")


def planned(rule: str, **wildcards: str) -> Job:
    return Job(rule, (), ("file",), {"study": "imagenet256", "seed": "42", **wildcards})


def test_every_rule_that_computes_is_estimated(tiny_graph: Graph) -> None:
    study = study_of(tiny_document())
    working = {job.rule for job in tiny_graph.jobs if work_of(job, study)}
    computing = {"train", "extract", "sample", "score"}
    assert working == {job.rule for job in tiny_graph.jobs if job.rule.split("_")[0] in computing}


def test_a_training_is_steps_times_batch_times_its_step() -> None:
    work = work_of(planned("train_stage1", tokenizer="l-32"), STUDY)
    assert work is not None
    step = stage1_step(tokenizer_model(STUDY, "l-32", "stage1"), STUDY.vqgan.model)  # type: ignore[union-attr]
    images = 1_000_000 * 256
    assert (work.images, work.spreads) == (images, True)
    assert work.flops == {"half": images * step.model, "tf32": images * step.frozen}


def test_the_adversary_counts_from_its_start_on() -> None:
    work = work_of(planned("train_stage2", tokenizer="l-32"), STUDY)
    settings = job(STUDY, "stage2", "l-32")
    step = step_of_job(settings)
    assert work is not None
    images = 500_000 * 256
    assert work.flops["half"] == images * (step.model + step.frozen)
    assert work.flops["tf32"] == pytest.approx(images * (step.perceptual + step.adversary * 480 / 500))


def test_samples_cost_two_passes_where_they_are_guided() -> None:
    """Linear guidance starts at 0: 7 of 8 steps run twice."""
    guided = work_of(planned("sample_generator", generator="l-32-vit", sampler="l-32"), STUDY)
    plain = work_of(planned("sample_generator", generator="l-32-vit", sampler="unguided"), STUDY)
    forward = generator_flops(generator_model(STUDY, "l-32-vit")).forward
    assert guided is not None
    assert plain is not None
    assert guided.total - plain.total == 50_000 * 7 * forward
    parts = tokenizer_parts(tokenizer_model(STUDY, "l-32", "stage2"))
    decoding = parts["decoder"].forward + parts["pixel_decoder"].forward
    assert plain.total == 50_000 * (8 * forward + decoding)


def test_baselines_and_codes_of_the_vqgan() -> None:
    tokens = work_of(planned("extract_vqgan_codes"), STUDY)
    assert tokens is not None
    assert tokens.images == 2 * 1_281_167, "centre crops and their mirror images"
    training = work_of(planned("train_baseline", tokenizer="taming-2d"), STUDY)
    assert training is not None
    assert training.images == 1_000_000 * 256
    assert work_of(planned("make_table", table="table1"), STUDY) is None
    assert work_of(planned("prepare_part", split="train", part="1", parts="16"), STUDY) is None


def test_scores_look_in_float64() -> None:
    work = work_of(planned("score_generation", generator="l-32-vit", sampler="l-32"), STUDY)
    assert work is not None
    assert work.flops == {"fp64": 50_000 * INCEPTION_FLOPS}


def test_inception_has_as_many_operations() -> None:
    from torchvision.models import inception_v3

    with abstractly():
        network = inception_v3(init_weights=False).eval()
        images = torch.empty(1, 3, 299, 299)
        assert count(lambda: network(images)) == pytest.approx(INCEPTION_FLOPS, rel=0.001)


def test_numbers_of_images_are_never_guessed() -> None:
    assert (num_images(STUDY, "train"), num_images(STUDY, "test")) == (1_281_167, 50_000)
    assert num_images(study_of(tiny_document()), "train") == 1297
    dataset = {"kind": "folder", "folder": {"root": "photos"}, "resize": 18, "image_size": 16, "num_classes": 10}
    with pytest.raises(PlanError, match=r"add dataset\.images"):
        num_images(study_of(changed(tiny_document(), "dataset", dataset)), "train")


def test_ids_for_another_programs_decoder_cost_no_decoding() -> None:
    told = {"num_latent_tokens": 16, "codebook_size": 16, "tokens": {"path": "ids.npz"}}
    theirs = {"reconstructions": "made", "source": "a command", "licence": "MIT", **told}
    document = changed(tiny_document(), "external", {"theirs": theirs})
    document = changed(document, "generators.foreign", {"tokenizer": "theirs", "decoded": {"two-steps": "made.npz"}})
    study = study_of(document)
    ours = work_of(planned("sample_generator", generator="maskgit", sampler="two-steps"), study)
    ids = work_of(planned("sample_ids", generator="foreign", sampler="two-steps"), study)
    assert ours is not None
    assert ids is not None
    forward = generator_flops(generator_model(study, "foreign")).forward
    assert ids.images == ours.images == study.evaluation.num_samples
    assert ids.total == ids.images * (2 + 1) * forward, "guidance is off in the first of two steps"
    assert ids.total < ours.total
    scored = work_of(planned("score_decoded", generator="foreign", sampler="two-steps"), study)
    assert scored == work_of(planned("score_generation", generator="maskgit", sampler="two-steps"), study)
