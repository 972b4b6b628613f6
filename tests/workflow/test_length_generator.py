"""A generator on tokens of adaptive length, from the study file to the distance of its samples.

Run: pytest tests/workflow/test_length_generator.py (some minutes on two cores)
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from config.studies import changed, study_of, tiny_document, without
from workflow.sandbox import Sandbox

import titok
from titok.config.jobs import job
from titok.config.study_models import generator_model
from titok.data.tokens import load_tokens
from titok.models.generator import MaskGIT


def document(tokens: float | None = 0.2) -> dict[str, Any]:
    """The small study with nothing but an ALIT of 2 and 4 tokens and a TiTok of 1 to 3, and a generator on each."""
    found = without(tiny_document(), "baselines")
    training = found["defaults"]["tokenizer"].pop("stage1")
    sizes = {"encoder": "s", "decoder": "s"}
    alit = {"iterations": 2, "stage1": training}
    found["tokenizers"] = {
        "alit": {**sizes, "recipe": "alit", "num_latent_tokens": 4, "alit": alit},
        "tail": {**sizes, "num_latent_tokens": 3, "tail_drop": "uniform", "stage1": training},
    }
    sampler = next(iter(found["samplers"]))
    found["generators"] = {
        "alit-vit": {"tokenizer": "alit", "samplers": [sampler]},
        "tail-uvit": {"tokenizer": "tail", "model": {"kind": "uvit", "dropout": 0.0}, "samplers": [sampler]},
    }
    found["adaptive_length"] = {"criterion": "l1", "thresholds": [0.2], "tokens": tokens}
    row = {"generator": "alit-vit", "sampler": sampler, "tokenizer": "alit", "stage": "alit_stage1"}
    rows = [{"label": "ALIT", **row}]
    found["reporting"] = {"tables": {"table1": {"rows": rows}}, "checks": {"enabled": False}}
    return found


def test_a_generator_knows_lengths_where_its_tokens_have_some() -> None:
    study = study_of(document())
    assert generator_model(study, "alit-vit").has_lengths
    assert generator_model(study, "tail-uvit").has_lengths
    for longest in (document(None), without(document(), "adaptive_length")):
        settings = job(study_of(longest), "generator", "alit-vit")
        assert "has_lengths" not in settings.resolved()["model"], "the longest codes: a generator as ever"
    one = changed(document(), "generators.alit-vit.tokenizer", "vqgan")
    one["reporting"]["tables"] = {}
    assert not generator_model(study_of(one), "alit-vit").has_lengths


@pytest.mark.workflow
def test_samples_are_as_long_as_images_of_their_class(empty: Sandbox) -> None:
    """The threshold lies between the images' errors, so that both lengths of the ALIT occur."""
    empty.write_study(document())
    done = empty.snakemake("--cores", 2, "all", torch=True)
    assert done.status == 0, done.said[-5000:]
    for generator, tokenizer, stage in (("alit-vit", "alit", "alit_stage1"), ("tail-uvit", "tail", "stage1")):
        tokens = load_tokens(empty.results / "tokens" / tokenizer / "seed0" / f"{stage}.npz")
        assert tokens.lengths is not None
        model = titok.load(empty.results / "generators" / generator / "seed0")
        assert isinstance(model, MaskGIT)
        assert int(model.length_counts.sum()) == tokens.lengths.size
        assert set(np.unique(tokens.lengths)) == ({2, 4} if tokenizer == "alit" else {1, 2})
        [samples] = (empty.results / "samples" / generator).glob("*/seed0.npz")
        with np.load(samples) as stored:
            assert set(stored["lengths"]) == {2, 4} or tokenizer == "tail"
            for label, length in zip(stored["labels"], stored["lengths"], strict=True):
                assert model.length_counts[label, length - 1] > 0
        [score] = (empty.results / "scores" / "generation" / generator).glob("*/seed0.json")
        assert json.loads(score.read_text())["metrics"]["gfid"]["value"] > 0
