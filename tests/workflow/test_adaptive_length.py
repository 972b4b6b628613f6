"""Tokenizers of adaptive length in a study: trained, scored, in a table like any other, and under generators.

Run: pytest tests/workflow/test_adaptive_length.py (a minute on two cores)
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from config.studies import changed, study_of, tiny_document, without
from workflow.sandbox import Sandbox

import titok
from titok.config.alit import GanPhase
from titok.config.alit_jobs import AlitStage1Job, AlitStage2Job
from titok.config.jobs import job
from titok.config.study import Study
from titok.config.study_models import generator_model
from titok.data.tokens import load_tokens
from titok.models.alit import Alit
from titok.models.generator import MaskGIT
from titok.models.length_choice import choose_lengths, mean_absolute_error
from titok.training.flops import step_of_job
from titok.training.operations import StepFlops


def stage2(stage1: dict[str, Any]) -> dict[str, Any]:
    """Twelve steps; from the sixth on the adversary plays, two steps for each of the model."""
    losses = {
        "perceptual": {"kind": "classifier", "classifier": "critic", "weight": 0.1},
        "phases": [{"start_step": 6, "weight": 0.2}],
        "discriminator_steps": 2,
        "discriminator": {"channels": 4, "num_stages": 1},
    }
    return {"training": {**stage1["training"], "steps": 12}, "losses": losses}


def adaptive_document(tokens: float | None = 0.2) -> dict[str, Any]:
    """The small study with an ALIT of 2 and 4 tokens, a TiTok of 1 to 3 and a generator on each, and a TiTok of 2.

    ``tokens``: the threshold that says how many an image has where generators learn from them; it lies between the
    images' errors, so that both lengths of the ALIT occur.
    """
    document = without(tiny_document(), "baselines")
    training = document["defaults"]["tokenizer"].pop("stage1")
    sizes = {"encoder": "s", "decoder": "s"}
    document["tokenizers"] = {
        "alit": {
            **sizes,
            "recipe": "alit",
            "num_latent_tokens": 4,
            "alit": {"iterations": 2, "stage1": training, "stage2": stage2(training)},
        },
        "tail": {**sizes, "num_latent_tokens": 3, "tail_drop": "uniform", "stage1": training},
        "fixed": {**sizes, "num_latent_tokens": 2, "stage1": training},
    }
    document["generators"] = {
        "alit-vit": {"tokenizer": "alit", "stage": "alit_stage1", "samplers": ["two-steps"]},
        "tail-uvit": {"tokenizer": "tail", "model": {"kind": "uvit", "dropout": 0.0}, "samplers": ["two-steps"]},
    }
    second = {"label": "mirrored digits", "altered": "mirrored"}
    given = {"thresholds": [0.1, 0.2], "beside": {"fixed": "stage1"}, "tokens": tokens, "second": second}
    document["adaptive_length"] = given
    rows = [
        {"label": "ALIT", "tokenizer": "alit", "stage": "alit_stage1"},
        {"label": "ALIT, pixels", "tokenizer": "alit", "stage": "alit_stage2"},
        {"label": "Tail drop", "tokenizer": "tail", "stage": "stage1"},
    ]
    shown = [*rows, {"label": "TiTok", "tokenizer": "fixed", "stage": "stage1"}]
    figures = {"quality_against_tokens": True, "images_by_length": {"row": rows[0], "num_images": 6}}
    figures["token_attention"] = {"row": rows[1], "of": "decoder"}
    generated = {**rows[0], "label": "ALIT, generated", "generator": "alit-vit", "sampler": "two-steps"}
    tables = {"table1": {"rows": [*rows, generated]}, "adaptive_length": {"rows": shown, "linear_probe": True}}
    document["reporting"] = {"tables": tables, "figures": figures, "checks": {"enabled": False}}
    return document


@pytest.fixture(scope="module")
def study() -> Study:
    return study_of(adaptive_document())


def test_a_job_is_told_what_the_study_says(study: Study) -> None:
    settings = job(study, "alit_stage1", "alit")
    assert isinstance(settings, AlitStage1Job)
    model = settings.model
    assert (model.lengths, model.image_size, model.codebook_size) == ((2, 4), 16, 16)
    assert model.transformer == study.sizes["s"]
    assert study.vqgan is not None
    assert model.vqgan == study.vqgan.model
    assert list(AlitStage1Job.names(study)) == ["alit"]
    assert "stage1" in job(study, "stage1", "tail").kind
    assert job(study, "stage1", "tail").model.tail_drop == "uniform"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("tokenizers.alit.decoder", "b", "recipe 'alit' has one size for both"),
        ("tokenizers.alit.num_latent_tokens", 3, "no multiple of the 2 iterations"),
        ("tokenizers.alit.alit", None, "recipe is 'alit' but alit is missing"),
        ("tokenizers.tail.alit", {"stage1": {"training": {"steps": 9}}}, "recipe is 'two_stage' and alit given"),
        ("tokenizers.alit.kind", "vae", "alit.latents: continuous"),
        ("vqgan", None, "recipe 'alit' but the study has no vqgan section"),
    ],
)
def test_mistakes_are_told(key: str, value: Any, said: str) -> None:
    document = adaptive_document()
    if key == "tokenizers.tail.alit":
        value = document["tokenizers"]["alit"]["alit"]
    with pytest.raises(ValueError, match=said):
        study_of(changed(document, key, value))


def test_a_step_s_operations_grow_with_the_lengths_that_count(study: Study) -> None:
    whole = job(study, "alit_stage1", "alit")
    assert isinstance(whole, AlitStage1Job)

    def step(**changes: Any) -> int:
        losses = whole.losses.model_copy(update=changes)
        return step_of_job(whole.model_copy(update={"losses": losses})).late

    assert step(decoded_iterations=1, halting=False) < step(decoded_iterations=1) < step()


def test_a_step_of_the_second_stage_counts_whose_turn_it_is(study: Study) -> None:
    whole = job(study, "alit_stage2", "alit")
    assert isinstance(whole, AlitStage2Job)

    def step(*phases: GanPhase) -> StepFlops:
        losses = whole.losses.model_copy(update={"phases": phases})
        return step_of_job(whole.model_copy(update={"losses": losses}))

    alone, half, soon = step(), step(GanPhase(start_step=6, weight=0.2)), step(GanPhase(start_step=0, weight=0.2))
    assert (alone.frozen, alone.adversary) == (0, 0)
    assert soon.model == pytest.approx(alone.model / 3, abs=1), "one step in three is the model's"
    assert half.model == pytest.approx((alone.model + soon.model) / 2, abs=1)
    assert 0 < half.adversary < soon.adversary
    assert 0 < half.frozen < soon.frozen


def test_a_generator_knows_lengths_where_its_tokens_have_some(study: Study) -> None:
    assert generator_model(study, "alit-vit").has_lengths
    assert generator_model(study, "tail-uvit").has_lengths
    longest = job(study_of(adaptive_document(None)), "generator", "alit-vit")
    assert "has_lengths" not in longest.resolved()["model"], "the longest codes: a generator as ever"
    plain = adaptive_document()
    plain["reporting"] = {"checks": {"enabled": False}}
    one = changed(plain, "generators.alit-vit", {"tokenizer": "vqgan"})
    assert not generator_model(study_of(one), "alit-vit").has_lengths
    longest = job(study_of(without(plain, "adaptive_length")), "generator", "alit-vit")
    assert "has_lengths" not in longest.resolved()["model"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The whole study, from the data to its page."""
    sandbox = Sandbox.new(tmp_path_factory.mktemp("adaptive"))
    sandbox.write_study(adaptive_document())
    done = sandbox.snakemake("--cores", 2, torch=True)
    assert done.status == 0, done.said[-5000:]
    return sandbox


@pytest.mark.workflow
def test_both_are_trained_scored_and_shown(trained: Sandbox) -> None:
    lines = (trained.results / "tables" / "table1.csv").read_text().splitlines()
    assert any(line.startswith("ALIT,alit,") for line in lines), lines
    assert any(line.startswith("Tail drop,tail,") for line in lines), lines
    pixels = json.loads((trained.results / "tokenizers/alit/seed0/alit_stage2/manifest.json").read_text())
    assert (pixels["task"], pixels["steps"]) == ("alit_stage2", 12)
    assert any(line.startswith('"ALIT, pixels",alit,') for line in lines), lines
    folder = trained.results / "tokenizers" / "alit" / "seed0" / "alit_stage1"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["task"], manifest["steps"]) == ("alit_stage1", 30)
    score = json.loads((trained.results / "scores/reconstruction/alit/alit_stage1/seed0.json").read_text())
    assert score["metrics"]["psnr"]["value"] > 0
    model = titok.load(folder)
    assert isinstance(model, Alit)
    images = torch.rand(3, 3, 16, 16)
    assert model.tokenize(images).values.shape == (3, 4)
    assert set(choose_lengths(model, images, mean_absolute_error(0.0)).lengths.tolist()) <= {2, 4}


@pytest.mark.workflow
def test_every_length_of_both_is_scored_and_each_images_own(trained: Sandbox) -> None:
    score = json.loads((trained.results / "scores/lengths/alit/alit_stage1/seed0.json").read_text())
    metrics = {name: entry["value"] for name, entry in score["metrics"].items()}
    assert (score["kind"], score["subject"]["tokenizer"]) == ("lengths", "alit")
    assert {f"rfid@{length}" for length in (2, 4)} <= metrics.keys()
    assert 2 <= metrics["mean_length@l1<0.2"] <= metrics["mean_length@l1<0.1"] <= 4
    assert metrics["share_of_2@l1<0.1"] + metrics["share_of_4@l1<0.1"] == pytest.approx(1)
    assert "interval" in score["metrics"]["gain@l1<0.1"]
    assert metrics["second_l1@2"] > 0
    gap = metrics["second_needed_length@l1<0.1"] - metrics["needed_length@l1<0.1"]
    assert metrics["familiarity_gap@l1<0.1"] == pytest.approx(gap)
    assert "interval" in score["metrics"]["familiarity_gap@l1<0.1"]
    probe = json.loads((trained.results / "scores/probe/alit/seed0.json").read_text())
    assert {"linear_probe_top1@2", "linear_probe_top1@4"} <= probe["metrics"].keys()
    assert probe["subject"]["stage"] == "alit_stage2", "each stage of an ALIT has an encoder of its own"
    table = (trained.results / "tables/adaptive_length.csv").read_text()
    assert '"ALIT, pixels",alit,alit_stage2,4,linear_probe_top1,' in table
    assert "ALIT,alit,alit_stage1,4,linear_probe_top1," not in table
    assert "TiTok,fixed,stage1,2,linear_probe_top1," in table
    assert "ALIT,alit,alit_stage1,2,rfid," in table
    assert "TiTok,fixed,stage1,2,l1," in table
    own = (trained.results / "lengths/tail/stage1/seed0.csv").read_text().splitlines()
    assert own[0] == "image,key,label,l1@1,l1@2,l1@3,length@l1<0.1,length@l1<0.2,tokens"
    assert len(own) == 501
    for figure in ("quality_against_tokens", "images_by_length", "token_attention"):
        assert (trained.results / f"figures/{figure}.svg").stat().st_size > 1000


@pytest.mark.workflow
def test_samples_are_as_long_as_images_of_their_class(trained: Sandbox) -> None:
    for generator, tokenizer, stage in (("alit-vit", "alit", "alit_stage1"), ("tail-uvit", "tail", "stage1")):
        tokens = load_tokens(trained.results / "tokens" / tokenizer / "seed0" / f"{stage}.npz")
        assert tokens.lengths is not None
        model = titok.load(trained.results / "generators" / generator / "seed0")
        assert isinstance(model, MaskGIT)
        assert int(model.length_counts.sum()) == tokens.lengths.size
        assert set(np.unique(tokens.lengths)) == ({2, 4} if tokenizer == "alit" else {1, 2})
        [samples] = (trained.results / "samples" / generator).glob("*/seed0.npz")
        with np.load(samples) as stored:
            assert set(stored["lengths"]) == {2, 4} or tokenizer == "tail"
            for label, length in zip(stored["labels"], stored["lengths"], strict=True):
                assert model.length_counts[label, length - 1] > 0
        [score] = (trained.results / "scores" / "generation" / generator).glob("*/seed0.json")
        assert json.loads(score.read_text())["metrics"]["gfid"]["value"] > 0
