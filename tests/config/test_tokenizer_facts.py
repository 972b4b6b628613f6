"""Tokenizers by name: TiTok, the study's VQGAN and 2D baselines, and generators on each.

Run: pytest tests/config/test_tokenizer_facts.py
"""

from __future__ import annotations

import json

import pytest
from config.studies import changed, study_of, tiny_document, without

from titok.config.jobs import job, job_names
from titok.config.study_models import generator_model
from titok.config.targets import Targets
from titok.config.tokenizer_facts import tokenizer_facts


def test_facts_of_every_kind() -> None:
    study = study_of(tiny_document())
    assert tokenizer_facts(study, "b2-final")[:5] == (("stage1", "stage2"), "two_stage", "b", 2, 16)
    assert tokenizer_facts(study, "vqgan")[:5] == (("vqgan",), "vqgan_2d", "vqgan", 16, 16)
    assert tokenizer_facts(study, "b2d")[:4] == (("vqgan_2d",), "vqgan_2d", "vqgan", 16)
    with pytest.raises(KeyError):
        tokenizer_facts(study, "nobody")


def test_a_generator_on_the_vqgan_has_its_tokens_and_paths() -> None:
    study = study_of(tiny_document())
    targets = Targets(study)
    model = generator_model(study, "maskgit")
    assert (model.num_tokens, model.codebook_size) == (16, 16)
    assert targets.tokens_behind("maskgit", 0) == "results/tiny/tokens/vqgan.npz"
    assert targets.tokenizer_behind("maskgit", 1) == "results/tiny/vqgan/model.safetensors"
    subject = json.loads(targets.subject(generator="maskgit", sampler="two-steps", seed=0))
    assert (subject["tokenizer"], subject["stage"], subject["recipe"]) == ("vqgan", "vqgan", "vqgan_2d")


def test_a_generator_on_a_baseline() -> None:
    study = study_of(without(changed(tiny_document(), "generators.maskgit.tokenizer", "b2d"), "reporting"))
    targets = Targets(study)
    assert targets.tokens_behind("maskgit", 0) == "results/tiny/tokens/b2d/seed0/vqgan_2d.npz"
    assert targets.tokenizer_behind("maskgit", 0) == "results/tiny/tokenizers/b2d/seed0/vqgan_2d/model.safetensors"


def test_baselines_are_jobs_and_have_scores() -> None:
    study = study_of(tiny_document())
    assert ("vqgan", "b2d") in set(job_names(study))
    assert job(study, "vqgan", "b2d") != job(study, "vqgan", "all")
    targets = Targets(study)
    assert "results/tiny/scores/reconstruction/b2d/vqgan_2d/seed0.json" in targets.all_scores()
    assert "results/tiny/tokenizers/b2d/seed0/vqgan_2d/manifest.json" in targets.manifests()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            changed(tiny_document(), "baselines.s1", tiny_document()["baselines"]["b2d"]),
            "baselines.s1: a name that a tokenizer has",
        ),
        (
            changed(tiny_document(), "baselines.all", tiny_document()["baselines"]["b2d"]),
            "baselines.all: a name that means",
        ),
        (changed(tiny_document(), "baselines.vqgan", tiny_document()["baselines"]["b2d"]), "baselines has 'vqgan'"),
        (changed(tiny_document(), "generators.maskgit.stage", "stage1"), r"generators\.maskgit\.stage is 'stage1'"),
        (changed(tiny_document(), "generators.maskgit.tokenizer", "b3d"), "did you mean 'b2d'"),
        (
            changed(changed(tiny_document(), "generators.maskgit.tokenizer", "b2d"), "generators.maskgit.seeds", [1]),
            r"generators\.maskgit\.seeds has \[1\]",
        ),
    ],
)
def test_names_that_do_not_fit_are_refused(document: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        study_of(document)


def test_codes_of_a_vqgan_that_is_not_there() -> None:
    document = without(without(tiny_document(), "vqgan"), "reporting")
    document["tokenizers"] = {"b2-single": document["tokenizers"]["b2-single"]}
    document["generators"] = {"maskgit": document["generators"]["maskgit"]}
    with pytest.raises(ValueError, match="but the study has no vqgan section"):
        study_of(document)
