"""The JSON schema of studies is the one of the settings, accepts what is shipped and refuses unknown keys.

Run: pytest tests/config/test_schema.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from config.studies import ROOT, SHIPPED, changed, tiny_document

from titok.commands.study import study_schema

FILE = ROOT / "workflow" / "schemas" / "study.schema.json"
REPAIR = "run `python -m titok schema > workflow/schemas/study.schema.json`"


@pytest.fixture(scope="module")
def validator() -> jsonschema.protocols.Validator:
    schema = json.loads(FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_file_is_in_step_with_the_settings() -> None:
    assert json.loads(FILE.read_text()) == study_schema(), f"{FILE.name} is out of date; {REPAIR}"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_study_is_valid(validator: jsonschema.protocols.Validator, path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)] == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("colour", "red"),
        ("tokenizers.s1.colour", "red"),
        ("defaults.tokenizer.stage1.training.stepz", 3),
        ("defaults.colour", {}),
        ("reporting.tables.table9", {}),
        ("dataset.resize", "big"),
        ("samplers.unguided.mask_schedule", "sine"),
        ("tokenizers.S1", {}),
    ],
)
def test_mistakes_are_found(validator: jsonschema.protocols.Validator, key: str, value: Any) -> None:
    document = changed(tiny_document(), key, value)
    assert not validator.is_valid(document)


def test_fields_are_described_for_editors() -> None:
    schema = study_schema()
    assert "K." in schema["$defs"]["Tokenizer"]["properties"]["num_latent_tokens"]["description"]
    assert schema["properties"]["defaults"]["additionalProperties"] is False
