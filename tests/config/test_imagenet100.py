"""ALIT on ImageNet-100: its classes, its published settings, its cost, and what its numbers are held against.

Run: pytest tests/config/test_imagenet100.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config.studies import ROOT
from reporting.simulated import PAPER, Simulated, simulate

from titok.commands.claims import full_size_facts, scope_of
from titok.config.alit import ALIT_SIZES, AlitModel, LengthPixelLosses, LengthProxyLosses
from titok.config.claims import load_claims
from titok.config.jobs import JOBS, job, job_names
from titok.config.load import load_study
from titok.config.study_models import generator_model, model_settings
from titok.models.alit_flops import alit_parts, length_decoder_flops, length_encoder_flops
from titok.planning.graph import Job
from titok.planning.storage import storage_of
from titok.planning.work import work_of
from titok.reporting.claims import judge_claims
from titok.reporting.collect import read_scores
from titok.reporting.evidence import Evidence
from titok.reporting.finding import Finding
from titok.reporting.paper import read_paper

STUDY = load_study(ROOT / "config" / "imagenet100.yaml")
ALITS = {"alit-small": 262_048_399, "alit-base": 228_689_551, "alit-semilarge": 463_587_983}
"""Name -> parameters of the official model of that size."""


def alit(name: str) -> AlitModel:
    """The settings of one of them."""
    model = model_settings(STUDY, name, "alit_stage2")
    assert isinstance(model, AlitModel)
    return model


EPOCH = {"alit_stage1": 126_689 // 256, "alit_stage2": 126_689 // 96}


def test_a_hundred_classes_are_taken() -> None:
    classes = STUDY.dataset.imagenet.classes  # type: ignore[union-attr]
    assert classes is not None
    assert (len(set(classes)), len(classes), STUDY.dataset.num_classes) == (100, 100, 100)
    assert list(classes) == sorted(classes)
    assert {"n01558993", "n02869837", "n13040303"} <= set(classes), "robin, bonnet and stinkhorn"
    assert scope_of(STUDY) == "imagenet100"
    assert scope_of(load_study(ROOT / "config" / "imagenet256.yaml")) == "imagenet256"


STATED: list[tuple[str, str, Any]] = [
    ("alit_stage1", "training.steps", 200 * EPOCH["alit_stage1"]),
    ("alit_stage1", "training.batch_size", 256),
    ("alit_stage1", "training.optimizer.learning_rate", 1.5e-4),
    ("alit_stage1", "training.schedule.warmup_steps", 20 * EPOCH["alit_stage1"]),
    ("alit_stage2", "training.steps", 200 * EPOCH["alit_stage2"]),
    ("alit_stage2", "training.batch_size", 96),
    ("alit_stage2", "training.optimizer.learning_rate", 3.75e-5),
    ("alit_stage2", "training.schedule.warmup_steps", 20 * EPOCH["alit_stage2"]),
    *((stage, f"training.{key}", value) for stage in EPOCH for key, value in [
        ("optimizer.betas", [0.9, 0.95]),
        ("optimizer.weight_decay", 0.05),
        ("optimizer.decayed", "matrices"),
        ("schedule.end_learning_rate", 0.0),
        ("max_grad_norm", 3.0),
        ("ema_decay", 0.9999),
        ("ema_ramp", False),
        ("compute.precision", "fp16"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize("name", ALITS)
@pytest.mark.parametrize(("stage", "key", "expected"), STATED)
def test_trainings_are_told_what_the_scripts_say(name: str, stage: str, key: str, expected: Any) -> None:
    found: Any = job(STUDY, stage, name).resolved()  # type: ignore[arg-type]
    for part in key.split("."):
        found = found[part]
    assert found == expected


@pytest.mark.parametrize("name", ALITS)
def test_losses_and_sizes_are_the_official_ones(name: str) -> None:
    model = alit(name)
    assert model.transformer == ALIT_SIZES[name.removeprefix("alit-")]
    assert model.lengths == tuple(range(32, 257, 32))
    assert (model.codebook_size, model.code_dim, model.halting_threshold) == (4096, 12, 0.55)
    assert job(STUDY, "alit_stage1", name).losses == LengthProxyLosses()  # type: ignore[attr-defined]
    losses = job(STUDY, "alit_stage2", name).losses  # type: ignore[attr-defined]
    weights = {"perceptual": losses.perceptual.model_copy(update={"weights": LengthPixelLosses().perceptual.weights})}
    assert losses.model_copy(update=weights) == LengthPixelLosses()
    assert [phase.start_step for phase in losses.phases] == [21 * EPOCH["alit_stage2"], 101 * EPOCH["alit_stage2"]]


def test_facts_count_what_the_official_models_have() -> None:
    facts = full_size_facts()
    assert {name: facts[name]["parameters"] for name in ALITS} == ALITS
    assert facts["alit-small"]["bits_per_image"] == 256 * 12 + 3, "the codes, and which of the eight lengths they have"


@pytest.mark.parametrize("name", ALITS)
def test_parts_are_all_of_the_model(name: str) -> None:
    assert sum(part.parameters for part in alit_parts(alit(name)).values()) == ALITS[name]


@pytest.mark.parametrize(
    ("name", "encoders", "decoders"),
    [
        ("alit-small", (61, 129, 286, 689), (63, 114)),
        ("alit-base", (52, 110, 246, 594), (54, 98)),
        ("alit-semilarge", (122, 258, 573, 1379), (124, 226)),
    ],
)
def test_operations_are_those_of_the_page(name: str, encoders: tuple[int, ...], decoders: tuple[int, ...]) -> None:
    """docs/adaptive_length.md counts blocks alone; embeddings and heads are few beside them."""
    model = alit(name)
    found = [length_encoder_flops(model, length).forward / 1e9 for length in (32, 64, 128, 256)]
    assert found == pytest.approx(encoders, rel=0.03)
    found = [length_decoder_flops(model, length).forward / 1e9 for length in (32, 256)]
    assert found == pytest.approx(decoders, rel=0.03)


def planned(rule: str, **wildcards: str) -> Job:
    return Job(rule, (), ("file",), {"study": "imagenet100", "seed": "42", **wildcards})


def test_scoring_and_storing_cost_what_the_model_is() -> None:
    score = work_of(planned("score_reconstruction", tokenizer="alit-small", stage="alit_stage2"), STUDY)
    assert score is not None
    per_image = sum(part.forward for part in alit_parts(alit("alit-small")).values())
    assert score.images == 5000
    assert score.flops["fp32"] == pytest.approx(5000 * (per_image + 2 * 11_426_432_192))
    stored = storage_of(planned("train_alit_stage1", tokenizer="alit-small"), STUDY)
    assert stored.size == pytest.approx(ALITS["alit-small"] * (4 + 2 * 16), rel=0.001)
    shards = storage_of(planned("merge_data", split="train"), STUDY)
    assert shards.size < 147_897_477_120 / 9, "a tenth of the classes"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return simulate(tmp_path_factory.mktemp("imagenet100"), "imagenet100", seeds=[42, 43, 44])


def judged(made: Simulated, claim: str) -> Finding:
    scores, reporting = read_scores(made.scores), made.study.reporting
    evidence = Evidence(read_paper(PAPER), {}, scores, reporting, scope_of(made.study))
    [found] = judge_claims([one for one in load_claims(ROOT / "config/claims.yaml") if one.id == claim], evidence)
    return found


def test_its_numbers_are_judged_only_where_they_were_measured_alike(made: Simulated) -> None:
    """The study measures as the official code does; with TiTok's cropping and resize nothing is compared."""
    assert judged(made, "alit-rfid-256").verdict == "agrees"
    assert judged(made, "alit-rfid-32").because.startswith("no row of the study's tables stands beside alit/in100-32")

    def otherwise(record: dict[str, Any]) -> None:
        record["protocol"]["reference"]["resize_rule"] = "official"
        del record["protocol"]["extractor"]["resize"]

    made.change("reconstruction/alit-small/alit_stage2/seed*", otherwise)
    found = judged(made, "alit-rfid-256")
    assert found.verdict == "not comparable"
    assert "extractor.resize is tensorflow1 here, pytorch-fid in the paper" in found.because
    assert "reference.resize_rule is official here, none in the paper" in found.because


def test_both_croppings_are_as_their_authors_have_them() -> None:
    """ALIT's trainings and all that is reconstructed see photographs as they are; all else resized ones."""
    for kind, name in job_names(STUDY):
        told: Any = job(STUDY, kind, name)
        if kind.startswith("alit_"):
            assert told.training.window_area == (0.8, 1.0)
            assert told.training.random_crop
            assert told.training.random_flip
        elif kind in ("stage1", "stage2"):
            assert told.training.window_area is None
        if hasattr(told, "dataset") and kind != "data":
            is_official = kind == "lengths" or (kind, name) == ("score", "reconstructions")
            assert told.dataset.resize_rule == ("none" if is_official else "official"), (kind, name)
    [scored] = [name for name in JOBS["score"].names(STUDY) if name != "samples"]
    assert scored == "reconstructions", "one document for both would crop one of them wrongly"
    with pytest.raises(KeyError, match=r"no score is called 'all', for evaluation\.resize_rule is 'none'"):
        job(STUDY, "score", "all")


def test_every_published_number_of_it_is_there() -> None:
    tables = [table for table in read_paper(PAPER).frame["table"].unique() if table.startswith("alit")]
    assert tables == ["alit", *(f"alit_{name}" for name in (
        "threshold", "familiarity", "elsewhere", "downstream", "probe", "attention"))]  # fmt: skip
    asked = {str(row.paper) for row in STUDY.reporting.tables.rows("model_zoo") if row.paper}
    assert asked == {"alit/in100-256"}


def test_lengths_are_chosen_as_published_and_generators_learn_them() -> None:
    lengths = STUDY.adaptive_length
    assert lengths is not None
    assert (lengths.criterion, lengths.scored, lengths.otherwise) == ("l1", (0.03, 0.05, 0.09), "best")
    assert lengths.lengths == alit("alit-small").lengths
    known = {name: generator_model(STUDY, name) for name in STUDY.generators}
    assert {name for name, model in known.items() if model.has_lengths} == {"alit-small-vit", "tail-256-vit"}
    assert {model.num_tokens for model in known.values()} == {128, 256}


def test_the_study_is_told_of() -> None:
    assert "`imagenet100.yaml`" in Path(ROOT / "config" / "README.md").read_text()
