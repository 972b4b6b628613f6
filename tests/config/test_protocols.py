"""Named protocols are complete, fill a study's settings, and cannot be contradicted.

Run: pytest tests/config/test_protocols.py
"""

from __future__ import annotations

from typing import Any

import pytest
from config.studies import ROOT, changed, study_of, without
from pydantic import ValidationError

from titok.config.evaluation import Evaluation
from titok.config.jobs import job
from titok.config.load import apply_defaults, dump_yaml, load_job, read_yaml
from titok.config.measuring_jobs import ScoreJob
from titok.config.protocols import PROTOCOLS

WEIGHTS = {"weights": "inception.pth"}


def published() -> dict[str, Any]:
    path = ROOT / "config" / "published.yaml"
    return apply_defaults(read_yaml(path), path)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_named_protocol_fills_everything_it_fixes(name: str) -> None:
    settings = Evaluation.model_validate({"protocol": name, "extractor": WEIGHTS}).resolved()
    fixed = PROTOCOLS[name].evaluation  # type: ignore[index]
    assert {key: settings[key] for key in fixed if key != "extractor"} == {
        key: value for key, value in fixed.items() if key != "extractor"
    }
    assert {key: settings["extractor"][key] for key in fixed["extractor"]} == fixed["extractor"]
    assert settings["protocol"] == name


def test_no_two_protocols_are_the_same() -> None:
    records = [str((protocol.dataset, protocol.evaluation)) for protocol in PROTOCOLS.values()]
    assert len(set(records)) == len(PROTOCOLS) == 5


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "rounding",
            "truncate",
            r"rounding is 'truncate', but protocol 'titok-official' fixes it to 'round'",
        ),
        ("num_samples", 5000, r"evaluation\.num_samples is 5000"),
        ("extractor.dtype", "float32", r"evaluation\.extractor\.dtype is 'float32'"),
        ("extractor.kind", "classifier", r"evaluation\.extractor\.kind is 'classifier'"),
    ],
)
def test_a_contradiction_is_refused(key: str, value: object, message: str) -> None:
    document = changed({"protocol": "titok-official", "extractor": WEIGHTS}, key, value)
    with pytest.raises(ValidationError, match=message):
        Evaluation.model_validate(document)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_distances_are_adms_where_its_evaluator_is_used(name: str) -> None:
    document = {"protocol": name, "extractor": WEIGHTS}
    fixed = name in ("adm", "llamagen")
    arithmetic = Evaluation.model_validate(document).precision_recall_arithmetic
    assert arithmetic == ("float16-blocks" if fixed else "float64")
    if fixed:
        with pytest.raises(ValidationError, match=r"precision_recall_arithmetic is 'float64', but protocol"):
            Evaluation.model_validate({**document, "precision_recall_arithmetic": "float64"})
    else:
        chosen = Evaluation.model_validate({**document, "precision_recall_arithmetic": "float16-blocks"})
        assert chosen.precision_recall_arithmetic == "float16-blocks"


def test_repeating_what_the_protocol_says_is_fine() -> None:
    document = {"protocol": "maskbit", "extractor": WEIGHTS, "rounding": "truncate"}
    assert Evaluation.model_validate(document).rounding == "truncate"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda study: changed(study, "dataset.resize_rule", "adm"), r"dataset\.resize_rule is 'adm', but protocol"),
        (
            lambda study: changed(study, "evaluation.resize_rule", "adm"),
            r"evaluation\.resize_rule is 'adm', but protocol",
        ),
        (lambda study: without(study, "evaluation.reference"), r"with a reference file; set evaluation\.reference"),
        (
            lambda study: changed(changed(study, "evaluation.protocol", "maskbit"), "dataset.resize_rule", "bilinear"),
            r"remove evaluation\.reference",
        ),
    ],
)
def test_the_study_must_fit_its_protocol(change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study_of(change(published()))


def test_a_job_document_reads_back(tmp_path: Any) -> None:
    settings = job(study_of(published()), "score", "all")
    path = tmp_path / "score.yaml"
    path.write_text(dump_yaml(settings))
    assert load_job(path, ScoreJob) == settings


def test_the_page_describes_every_protocol() -> None:
    page = (ROOT / "docs" / "protocols.md").read_text()
    for name, protocol in PROTOCOLS.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        settings = protocol.evaluation
        for value in (protocol.dataset["resize_rule"], settings["rounding"], *settings["extractor"].values()):
            if value != "inception":
                assert str(value) in row, (name, value)
        assert settings.get("precision_recall_arithmetic", "not fixed") in row
        assert protocol.samples_against in row
