"""Named things are trained or released, never both, and say so when they are neither.

Run: pytest tests/config/test_entries.py
"""

from __future__ import annotations

from typing import Any

import pytest
from config.studies import changed, study_of, tiny_document, without
from pydantic import ValidationError

from titok.config.jobs import job, job_names

RELEASED = {"recipe": "released", "source": "tokenizer_titok_l32", "head": "proxy_codes"}


def with_tokenizer(**entry: Any) -> dict[str, Any]:
    shared = {"encoder": "b", "decoder": "b", "num_latent_tokens": 2, "stage1": None}
    return changed(tiny_document(), "tokenizers.new", shared | entry)


def test_a_released_tokenizer_has_one_stage_and_one_job() -> None:
    study = study_of(with_tokenizer(**RELEASED))
    assert study.tokenizers["new"].stages == ("released",)
    assert [kind for kind, name in job_names(study) if name == "new"] == ["released_tokenizer"]
    settings = job(study, "released_tokenizer", "new").resolved()
    assert settings["source"] == "tokenizer_titok_l32"
    assert settings["model"]["head"] == "proxy_codes"
    assert settings["model"]["vqgan"] == study.vqgan.model.resolved()  # type: ignore[union-attr]


def test_released_generator_and_vqgan_have_jobs_of_their_own() -> None:
    document = changed(tiny_document(), "generators.b2-vit.source", "somewhere")
    document = changed(document, "generators.b2-vit.training", None)
    document = changed(without(document, "vqgan.training"), "vqgan.source", "maskgit_vqgan")
    jobs = set(job_names(study_of(document)))
    assert {("released_vqgan", "all"), ("released_generator", "b2-vit")} <= jobs
    assert not {("vqgan", "all"), ("generator", "b2-vit")} & jobs


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (with_tokenizer(recipe="released", head="pixels"), "give source and head exactly when recipe is 'released'"),
        (with_tokenizer(recipe="released", source="x"), "give source and head exactly when"),
        (with_tokenizer(source="x", stage1={"training": {"steps": 5}}), "give source and head exactly when"),
        (changed(tiny_document(), "vqgan.source", "x"), "training and source: both are given"),
        (without(tiny_document(), "vqgan.training"), "training and source: neither is given"),
        (changed(tiny_document(), "generators.b2-vit.source", "x"), "training and source: both are given"),
    ],
)
def test_incomplete_origins_are_told(document: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        study_of(document)
