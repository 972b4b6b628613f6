"""What records say of the models that were scored: what the models are, whatever a command line says of them.

Run: pytest tests/commands/test_subjects.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands.workbench import Workbench, record
from config.studies import ROOT

from titok.commands.subjects import of_samples
from titok.config.load import load_study
from titok.config.study import Study
from titok.config.study_models import model_settings
from titok.config.tokenizer_facts import tokenizer_facts
from titok.models.folder import empty_model
from titok.models.image_tokenizer import ImageTokenizer

NAMED = {"seed": 0, "tokenizer": "mine", "stage": "stage2", "size": "b"}


def test_a_record_says_what_the_model_is_and_not_what_it_was_called(bench: Workbench, tmp_path: Path) -> None:
    wrong = json.dumps({**NAMED, "num_latent_tokens": 99, "codebook_size": 99})
    model = {"model": bench.model("two"), "judge": bench.model("judge"), "data": bench.test_data}
    bench.run(
        "score",
        "reconstruction",
        config=bench.config("score"),
        **model,
        subject=wrong,
        output=tmp_path / "score.json",
    )
    assert record(tmp_path / "score.json")["subject"] == {**NAMED, "num_latent_tokens": 2, "codebook_size": 16}


def test_samples_are_told_by_what_lies_beside_them(bench: Workbench, tmp_path: Path) -> None:
    manifest = bench.model("g").with_name("manifest.json")
    assert of_samples(bench.root / "samples.npz", manifest) == {
        "generator_kind": "vit",
        "num_latent_tokens": 2,
        "codebook_size": 16,
        "num_steps": 2,
        "guidance_scale": 1.0,
        "mask_schedule": "arccos",
    }
    assert of_samples(bench.root / "samples.npz", None) == {}, "of another program's generator"
    assert of_samples(tmp_path / "samples.npz", manifest) == {}, "of another program"


def studies() -> list[Study]:
    return [load_study(ROOT / "config" / f"{name}.yaml") for name in ("digits", "imagenet256")]


@pytest.mark.parametrize("study", studies(), ids=lambda study: study.study)
def test_models_say_what_their_study_plans_with(study: Study) -> None:
    """Tables and plans go by the study's facts, records by the model's; here they meet."""
    for name, entry in study.tokenizers.items():
        known, model = tokenizer_facts(study, name), empty_model(model_settings(study, name, entry.stages[-1]))
        assert isinstance(model, ImageTokenizer)
        assert model.facts.most_tokens == known.num_tokens, name
        assert model.facts.codebook_size == (known.codebook_size if known.is_discrete else None), name
