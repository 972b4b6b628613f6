"""A kind of job is one class: whatever else knows kinds has them from there.

Run: pytest tests/config/test_job_kinds.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
from config.studies import ROOT, study_of, tiny_document

from titok.cli import build_parser
from titok.config.check import check_study
from titok.config.jobs import ADOPTED, COMPUTING, JOBS, KINDS, TRAININGS, job, job_names
from titok.config.rows import STAGES
from titok.config.targets import Targets
from titok.config.training_rules import training_rules


def test_kinds_have_names_of_their_own() -> None:
    assert len(JOBS) == len(KINDS)
    assert set(TRAININGS) < set(COMPUTING) < set(JOBS)


def test_every_job_of_a_study_is_told_by_its_kind_and_name() -> None:
    study = study_of(tiny_document())
    names = list(job_names(study))
    assert len(set(names)) == len(names)
    for kind, name in names:
        assert type(job(study, kind, name)) is JOBS[kind]


@pytest.mark.parametrize("kind", JOBS)
def test_a_job_that_the_study_has_not_is_an_error(kind: str) -> None:
    study = study_of(tiny_document())
    if JOBS[kind].wildcard or kind.startswith("released"):
        with pytest.raises(KeyError):
            job(study, kind, "nobody")


def test_an_unknown_kind_is_told_which_there_are() -> None:
    with pytest.raises(KeyError, match="no kind of job is called 'stage9'; allowed: data, classifier, vqgan, stage1"):
        job(study_of(tiny_document()), "stage9", "all")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_places_are_sections_of_studies(kind: type) -> None:
    study = study_of(tiny_document())
    assert kind.section in type(study).model_fields  # type: ignore[attr-defined]


def test_a_job_that_cannot_be_is_told_where_the_study_says_it() -> None:
    """`check` builds every job; what one refuses is said with the place of its entry."""
    assert JOBS["stage1"].place("s2") == "tokenizers.s2"
    assert JOBS["vqgan"].place("all") == "vqgan"
    assert JOBS["vqgan"].place("b2d") == "baselines.b2d"
    assert JOBS["released_generator"].place("g") == "generators.g"
    assert JOBS["score"].place("samples") == "evaluation"
    study = study_of(tiny_document())
    crowded = study.tokenizers["s2"].model_copy(update={"num_latent_tokens": 999})
    broken = study.model_copy(update={"tokenizers": {**study.tokenizers, "s2": crowded}})
    with pytest.raises(ValueError, match=r"^tokenizers\.s2: num_latent_tokens is 999, more than 4 times"):
        check_study(broken)


@pytest.mark.parametrize("kind", TRAININGS)
def test_every_training_has_a_rule_with_its_wildcard_and_a_verb(kind: str) -> None:
    words = ["train", kind, "--config", "c.yaml", "--output", "o/model.safetensors", "--state", "s", "--seed", "0"]
    assert build_parser().parse_args(words).task == kind
    rule = next(rule for rule in training_rules() if rule.name == f"train_{kind}")
    assert rule.kind is JOBS[kind]
    assert rule.job in ("all", f"{{{JOBS[kind].wildcard}}}")
    assert set(rule.kind.reads) <= {"data", "vqgan", "codes", "stage1", "alit_stage1", "critic", "encoder", "tokens"}
    assert rule.has_own_seed == (kind in ("classifier", "vqgan"))


def test_rules_of_trainings_lie_where_their_models_are_looked_for() -> None:
    study = study_of(tiny_document())
    rules = {rule.name: rule for rule in training_rules()}
    assert list(rules)[:2] == ["train_vqgan", "train_classifier"]
    shown = {name: (rule.folder, rule.job, rule.log, rule.names(study)) for name, rule in rules.items()}
    assert shown["train_vqgan"] == ("vqgan", "all", "train_vqgan", ["all"])
    place = "{tokenizer}-seed{seed}"
    folder = "tokenizers/{tokenizer}/seed{seed}/vqgan_2d"
    assert shown["train_baseline"] == (folder, "{tokenizer}", f"train_baseline/{place}", ["b2d"])
    targets = Targets(study)
    for name, stage in targets.trained_stages():
        rule = next(rule for rule in rules.values() if name in rule.names(study) and rule.folder.endswith(stage))
        model = rule.folder.format(tokenizer=name, seed=3)
        assert targets.tokenizer_model(name, stage, 3) == f"{targets.root}/{model}/model.safetensors"


@pytest.mark.parametrize("what", ADOPTED)
def test_everything_adopted_has_a_verb(what: str) -> None:
    words = ["adopt", what, "--config", "c.yaml", "--output", "o/model.safetensors"]
    assert build_parser().parse_args(words).kind == what


def test_other_kinds_are_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["train", "tokens"])
    assert "invalid choice: 'tokens' (choose from " in (said := capsys.readouterr().err)
    assert all(kind in said for kind in TRAININGS)


def test_stages_of_paths_are_those_of_rows() -> None:
    assert set(STAGES) >= {"stage1", "stage2", "single_stage", "released"}
    assert "stage=one_of(STAGES)" in Path(ROOT / "workflow/rules/common.smk").read_text()
