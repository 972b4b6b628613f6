"""Numbers mean what they look like: base 60, octal, underscores, dates and yes are refused where a number belongs.

Run: pytest tests/config/test_numbers.py
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
import yaml
from config.studies import changed, tiny_document
from pydantic import TypeAdapter, ValidationError

from titok import config
from titok.config.load import ConfigError, load_study, read_yaml
from titok.config.section import Section


def study_with(folder: Path, key: str, text: str) -> Path:
    """The small study with a value as a person would type it."""
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(changed(tiny_document(), key, "TYPED")).replace("TYPED", text))
    return path


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("resources.default.hours", "12:00:00"),
        ("resources.default.hours", "1:30"),
        ("resources.default.hours", "1:30.5"),
        ("resources.default.memory_gb", "010"),
        ("seeds", "[010]"),
        ("probe.steps", "yes"),
        ("probe.steps", "1_000"),
        ("probe.steps", "0x10"),
        ("probe.steps", "0b11"),
        ("probe.steps", "0o17"),
        ("probe.steps", "'010'"),
        ("probe.steps", "2024-01-01"),
        ("evaluation.batch_size", "no"),
        ("samplers.unguided.guidance_scale", "on"),
        ("samplers.unguided.guidance_scale", "00.5"),
        ("probe.optimizer.betas", "[0.9, 0:59]"),
        ("tokenizers.s2.commitment_weight", "true"),
    ],
)
def test_what_people_and_yaml_read_differently_is_refused(tmp_path: Path, key: str, text: str) -> None:
    with pytest.raises(ConfigError, match=r"write decimal numbers such as 12 or 0\.5") as refused:
        load_study(study_with(tmp_path, key, text))
    where, _, field = key.rpartition(".")
    assert f"{where or 'the study'}: {field} is " in str(refused.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12.0),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e1", 10.0),
        ("3e-3", 0.003),
        ("+2", 2.0),
        ("1.5e+1", 15.0),
    ],
)
def test_decimal_numbers_are_read(tmp_path: Path, text: str, value: float) -> None:
    study = load_study(study_with(tmp_path, "resources.default.hours", text))
    assert study.resources["default"].hours == value


@pytest.mark.parametrize("text", ["1e3", "many", ".nan", ".inf", "-1"])
def test_other_values_are_refused_as_before(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"probe\.steps: found"):
        load_study(study_with(tmp_path, "probe.steps", text))


@pytest.mark.parametrize("text", ["12:30", "2024-01-01", "010", "1_000"])
def test_text_stays_text(tmp_path: Path, text: str) -> None:
    assert load_study(study_with(tmp_path, "title", text)).title == text


def test_truth_is_still_told_by_words(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: yes\nb: off\nc: 1.0e-05\nd: -3\ne: .inf\n")
    assert read_yaml(path) == {"a": True, "b": False, "c": 1e-5, "d": -3, "e": float("inf")}


def sections(base: type[Section] = Section) -> Iterator[type[Section]]:
    for one in base.__subclasses__():
        yield from (one, *sections(one))


def holds_number(value: object) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(map(holds_number, inside)) or (isinstance(value, int | float) and not isinstance(value, bool))


def test_no_setting_takes_true_for_a_number() -> None:
    """Whatever a field's type alone would make of it, by itself, in lists or by names."""
    for module in pkgutil.iter_modules(config.__path__):
        importlib.import_module(f"{config.__name__}.{module.name}")
    looked_at = 0
    for section in set(sections()):
        for name, field in section.model_fields.items():
            fields = TypeAdapter(Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation)
            for value in (True, [True], [True, True], {"a": True}, {"a": [True]}):
                with contextlib.suppress(ValidationError):
                    if holds_number(fields.validate_python(value)):
                        looked_at += 1
                        with pytest.raises(ValidationError, match="which is no number"):
                            section.model_validate({name: value})
    assert looked_at > 100
