"""A setting that comes later: with its neutral value no fingerprint, document or model folder is another one.

Run: pytest tests/config/test_neutral.py
"""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from config.studies import study_of, tiny_document
from pydantic import create_model

from titok.config.entries import Tokenizer
from titok.config.jobs import job, job_names
from titok.config.load import dump_yaml, load_job
from titok.config.model import TokenizerModel, TokenizerSettings
from titok.config.section import Neutral, Section
from titok.config.training_jobs import Stage1Job
from titok.runtime.sums import sha256_json

STUDY = study_of(tiny_document())
JOBS = [job(STUDY, kind, name) for kind, name in job_names(STUDY)]


class EntropyModel(TokenizerModel):
    """A tokenizer with one setting more."""

    entropy_weight: Annotated[float, Neutral(0.0)] = 0.0


class EntropyJob(Stage1Job):
    """Its training."""

    model: EntropyModel


def told(section: Section) -> tuple[str, str]:
    return sha256_json(section.identity()), dump_yaml(section)


@pytest.mark.parametrize("section", JOBS, ids=lambda section: type(section).__name__)
def test_a_new_neutral_setting_moves_no_job(section: Section) -> None:
    field: Any = (Annotated[float, Neutral(0.0)], 0.0)
    wider = create_model("Wider", __base__=type(section), another=field)
    assert told(wider.model_validate(section.resolved())) == told(section)
    assert told(wider.model_validate({**section.resolved(), "another": 1.0})) != told(section)


def test_a_section_within_a_job_may_have_one() -> None:
    old = job(STUDY, "stage1", "s2")
    document = old.resolved()
    new = EntropyJob.model_validate(document)
    assert new.model.entropy_weight == 0.0
    assert told(new) == told(old)
    document["model"]["entropy_weight"] = 0.1
    changed = EntropyJob.model_validate(document)
    assert changed.resolved()["model"]["entropy_weight"] == changed.identity()["model"]["entropy_weight"] == 0.1
    assert told(changed) != told(old)


def test_a_neutral_section_is_left_out_whole() -> None:
    field: Any = (Annotated[EntropyModel | None, Neutral(None)], None)
    wider = create_model("Wider", __base__=Stage1Job, teacher=field)
    section = wider.model_validate(job(STUDY, "stage1", "s2").resolved())
    assert "teacher" not in section.resolved()
    assert told(section.model_copy(update={"teacher": EntropyModel()}))[0] != told(section)[0]


def test_what_is_left_out_is_read_back(tmp_path: Any) -> None:
    """`native` arithmetic was the first neutral value."""
    section = job(STUDY, "stage1", "s2").model_copy(update={"arithmetic": "native"})
    (tmp_path / "job.yaml").write_text(dump_yaml(section))
    assert "arithmetic" not in dump_yaml(section)
    assert load_job(tmp_path / "job.yaml", Stage1Job) == section
    assert job(STUDY, "stage1", "s2").resolved()["arithmetic"] == "portable"


def test_a_neutral_value_is_the_default() -> None:
    """Else documents that leave it out would be read as another value."""
    field: Any = (Annotated[float, Neutral(0.0)], 0.5)
    with pytest.raises(TypeError, match=r"Wider\.weight has the neutral value 0\.0 and the default 0\.5"):
        create_model("Wider", __base__=Section, weight=field)


def test_a_tokenizers_entry_and_its_model_have_their_settings_from_one_place() -> None:
    """A setting written twice can have two defaults; moved into a base, it stays where documents had it."""
    shared = set(TokenizerSettings.model_fields)
    assert shared <= set(Tokenizer.model_fields) & set(TokenizerModel.model_fields)
    assert set(Tokenizer.__annotations__) & set(TokenizerModel.__annotations__) == {"head", "encoder", "decoder"}
    assert list(TokenizerModel().resolved()) == list(TokenizerModel.first_in_documents)


def test_a_setting_that_comes_later_follows_the_order_of_documents() -> None:
    assert [*EntropyModel(entropy_weight=0.1).resolved()] == [*TokenizerModel().resolved(), "entropy_weight"]
